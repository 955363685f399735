package dev.stillpoint.peer;

import com.scalar.db.api.DistributedTransaction;
import com.scalar.db.api.DistributedTransactionAdmin;
import com.scalar.db.api.DistributedTransactionManager;
import com.scalar.db.api.Result;
import com.scalar.db.api.Scan;
import com.scalar.db.api.TableMetadata;
import com.scalar.db.api.Upsert;
import com.scalar.db.api.UpsertBuilder;
import com.scalar.db.io.DataType;
import com.scalar.db.io.Key;
import com.scalar.db.service.TransactionFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A Java ScalarDB node that tests drive: one tab-separated command a line on standard input, one
 * line "ok..." or "error..." for each on standard output. Its argument is a properties file.
 */
public final class Main {
  private final DistributedTransactionManager manager;
  private final DistributedTransactionAdmin admin;
  private final Bank bank;

  private Main(TransactionFactory factory) {
    manager = factory.getTransactionManager();
    admin = factory.getTransactionAdmin();
    bank = new Bank(manager);
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = System.out;
    System.setOut(System.err); // loggers may print; answers only go to out
    Main main = new Main(TransactionFactory.create(args[0]));
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    out.println("ok\tready");
    for (String line; (line = in.readLine()) != null; ) {
      try {
        out.println("ok\t" + main.run(line.split("\t", -1)));
      } catch (Exception e) {
        e.printStackTrace();
        out.println("error\t" + e.getClass().getSimpleName() + "\t" + String.valueOf(e.getMessage()).replace('\n', ' '));
      }
      out.flush();
    }
    main.manager.close();
    main.admin.close();
  }

  private String run(String[] c) throws Exception {
    switch (c[0]) {
      case "create-coordinator":
        admin.createCoordinatorTables(true);
        return "";
      case "create-namespace":
        admin.createNamespace(c[1], true);
        return "";
      case "create-table": // namespace table partition clustering columns indexes
        admin.createTable(c[1], c[2], table(c), true);
        return "";
      case "load": // namespace table file
        return load(c[1], c[2], Path.of(c[3]));
      case "dump": // namespace table file
        return dump(c[1], c[2], Path.of(c[3]));
      case "move": // bank account bank account amount
        bank.move(c[1], Long.parseLong(c[2]), c[3], Long.parseLong(c[4]), Long.parseLong(c[5]));
        return "";
      case "transfers": // banks accounts threads millis enough
        return bank.run(
            c[1].split(","),
            Integer.parseInt(c[2]),
            Integer.parseInt(c[3]),
            Long.parseLong(c[4]),
            Long.parseLong(c[5]));
      case "ycsb": // namespaces C|F ops records payload threads millis
        return new Ycsb(manager)
            .run(
                c[1].split(","),
                c[2].equals("F"),
                Integer.parseInt(c[3]),
                Integer.parseInt(c[4]),
                Integer.parseInt(c[5]),
                Integer.parseInt(c[6]),
                Long.parseLong(c[7]));
      case "cpu": // milliseconds of processor time so far
        return Long.toString(
            ((com.sun.management.OperatingSystemMXBean)
                        java.lang.management.ManagementFactory.getOperatingSystemMXBean())
                    .getProcessCpuTime()
                / 1_000_000);
      case "writes":
        return Integer.toString(SteppingProvider.writes());
      case "arm": // before|after n
        SteppingProvider.arm(Integer.parseInt(c[2]), c[1].equals("after"));
        return "";
      case "state":
        return manager.getState(c[1]).toString();
      default:
        throw new IllegalArgumentException("no such command: " + c[0]);
    }
  }

  /** Definitions are "name:TYPE[:ORDER]", comma-separated. */
  private static TableMetadata table(String[] c) {
    TableMetadata.Builder builder = TableMetadata.newBuilder();
    for (String def : split(c[3])) {
      String[] p = def.split(":");
      builder.addColumn(p[0], DataType.valueOf(p[1])).addPartitionKey(p[0]);
    }
    for (String def : split(c[4])) {
      String[] p = def.split(":");
      builder.addColumn(p[0], DataType.valueOf(p[1])).addClusteringKey(p[0], Scan.Ordering.Order.valueOf(p[2]));
    }
    for (String def : split(c[5])) {
      String[] p = def.split(":");
      builder.addColumn(p[0], DataType.valueOf(p[1]));
    }
    for (String name : split(c[6])) {
      builder.addSecondaryIndex(name);
    }
    return builder.build();
  }

  private static List<String> split(String s) {
    return s.isEmpty() ? List.of() : List.of(s.split(","));
  }

  /** Reads a file whose first line names the columns, and upserts each further line. */
  private String load(String namespace, String table, Path file) throws Exception {
    List<String> lines = Files.readAllLines(file);
    String[] names = lines.get(0).split("\t", -1);
    TableMetadata metadata = admin.getTableMetadata(namespace, table);
    for (String line : lines.subList(1, lines.size())) {
      String[] cells = line.split("\t", -1);
      Key.Builder partition = Key.newBuilder();
      Key.Builder clustering = Key.newBuilder();
      for (int i = 0; i < names.length; i++) {
        if (metadata.getPartitionKeyNames().contains(names[i])) {
          partition.add(Cells.parse(names[i], metadata.getColumnDataType(names[i]), cells[i]));
        } else if (metadata.getClusteringKeyNames().contains(names[i])) {
          clustering.add(Cells.parse(names[i], metadata.getColumnDataType(names[i]), cells[i]));
        }
      }
      UpsertBuilder.Buildable put =
          Upsert.newBuilder().namespace(namespace).table(table).partitionKey(partition.build());
      if (!metadata.getClusteringKeyNames().isEmpty()) {
        put = put.clusteringKey(clustering.build());
      }
      for (int i = 0; i < names.length; i++) {
        if (!metadata.getPartitionKeyNames().contains(names[i])
            && !metadata.getClusteringKeyNames().contains(names[i])) {
          put = put.value(Cells.parse(names[i], metadata.getColumnDataType(names[i]), cells[i]));
        }
      }
      DistributedTransaction tx = manager.begin();
      tx.upsert(put.build());
      tx.commit();
    }
    return Integer.toString(lines.size() - 1);
  }

  /** Writes all rows of a table in the format that load reads, in no particular order. */
  private String dump(String namespace, String table, Path file) throws Exception {
    TableMetadata metadata = admin.getTableMetadata(namespace, table);
    List<String> names = new ArrayList<>(metadata.getColumnNames());
    List<String> lines = new ArrayList<>();
    lines.add(String.join("\t", names));
    DistributedTransaction tx = manager.begin();
    List<Result> rows = tx.scan(Scan.newBuilder().namespace(namespace).table(table).all().build());
    tx.commit();
    for (Result row : rows) {
      List<String> cells = new ArrayList<>();
      for (String name : names) {
        cells.add(Cells.format(row, name, metadata.getColumnDataType(name)));
      }
      lines.add(String.join("\t", cells));
    }
    Files.write(file, lines);
    return Integer.toString(rows.size());
  }
}
