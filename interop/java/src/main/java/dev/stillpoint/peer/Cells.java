package dev.stillpoint.peer;

import com.scalar.db.api.Result;
import com.scalar.db.io.BigIntColumn;
import com.scalar.db.io.BlobColumn;
import com.scalar.db.io.BooleanColumn;
import com.scalar.db.io.Column;
import com.scalar.db.io.DataType;
import com.scalar.db.io.DateColumn;
import com.scalar.db.io.DoubleColumn;
import com.scalar.db.io.FloatColumn;
import com.scalar.db.io.IntColumn;
import com.scalar.db.io.TextColumn;
import com.scalar.db.io.TimeColumn;
import com.scalar.db.io.TimestampColumn;
import com.scalar.db.io.TimestampTZColumn;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.HexFormat;

/**
 * One cell as text, the same in both languages: \N is NULL; TEXT and BLOB are hexadecimal bytes;
 * FLOAT and DOUBLE hexadecimal bits; DATE days, TIME nanoseconds of the day, TIMESTAMP and
 * TIMESTAMPTZ milliseconds since 1970 (of the wall clock, of UTC).
 */
final class Cells {
  private Cells() {}

  static Column<?> parse(String name, DataType type, String cell) {
    boolean isNull = cell.equals("\\N");
    switch (type) {
      case BOOLEAN:
        return isNull ? BooleanColumn.ofNull(name) : BooleanColumn.of(name, Boolean.parseBoolean(cell));
      case INT:
        return isNull ? IntColumn.ofNull(name) : IntColumn.of(name, Integer.parseInt(cell));
      case BIGINT:
        return isNull ? BigIntColumn.ofNull(name) : BigIntColumn.of(name, Long.parseLong(cell));
      case FLOAT:
        return isNull
            ? FloatColumn.ofNull(name)
            : FloatColumn.of(name, Float.intBitsToFloat(Integer.parseUnsignedInt(cell, 16)));
      case DOUBLE:
        return isNull
            ? DoubleColumn.ofNull(name)
            : DoubleColumn.of(name, Double.longBitsToDouble(Long.parseUnsignedLong(cell, 16)));
      case TEXT:
        return isNull
            ? TextColumn.ofNull(name)
            : TextColumn.of(name, new String(HexFormat.of().parseHex(cell), StandardCharsets.UTF_8));
      case BLOB:
        return isNull ? BlobColumn.ofNull(name) : BlobColumn.of(name, HexFormat.of().parseHex(cell));
      case DATE:
        return isNull
            ? DateColumn.ofNull(name)
            : DateColumn.of(name, LocalDate.ofEpochDay(Long.parseLong(cell)));
      case TIME:
        return isNull
            ? TimeColumn.ofNull(name)
            : TimeColumn.of(name, LocalTime.ofNanoOfDay(Long.parseLong(cell)));
      case TIMESTAMP:
        return isNull
            ? TimestampColumn.ofNull(name)
            : TimestampColumn.of(
                name,
                LocalDateTime.ofInstant(Instant.ofEpochMilli(Long.parseLong(cell)), ZoneOffset.UTC));
      case TIMESTAMPTZ:
        return isNull
            ? TimestampTZColumn.ofNull(name)
            : TimestampTZColumn.of(name, Instant.ofEpochMilli(Long.parseLong(cell)));
      default:
        throw new IllegalArgumentException("no such type: " + type);
    }
  }

  static String format(Result row, String name, DataType type) {
    if (row.isNull(name)) {
      return "\\N";
    }
    switch (type) {
      case BOOLEAN:
        return Boolean.toString(row.getBoolean(name));
      case INT:
        return Integer.toString(row.getInt(name));
      case BIGINT:
        return Long.toString(row.getBigInt(name));
      case FLOAT:
        return String.format("%08x", Float.floatToRawIntBits(row.getFloat(name)));
      case DOUBLE:
        return String.format("%016x", Double.doubleToRawLongBits(row.getDouble(name)));
      case TEXT:
        return HexFormat.of().formatHex(row.getText(name).getBytes(StandardCharsets.UTF_8));
      case BLOB:
        return HexFormat.of().formatHex(row.getBlobAsBytes(name));
      case DATE:
        return Long.toString(row.getDate(name).toEpochDay());
      case TIME:
        return Long.toString(row.getTime(name).toNanoOfDay());
      case TIMESTAMP:
        return Long.toString(row.getTimestamp(name).toInstant(ZoneOffset.UTC).toEpochMilli());
      case TIMESTAMPTZ:
        return Long.toString(row.getTimestampTZ(name).toEpochMilli());
      default:
        throw new IllegalArgumentException("no such type: " + type);
    }
  }
}
