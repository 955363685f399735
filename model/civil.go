package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	nanosPerDay = int64(24 * time.Hour)
	milliPerDay = int64(24 * 60 * 60 * 1000)
	minEpochDay = -354285 // 1000-01-01
	maxEpochDay = 2932896 // 9999-12-31
)

// CivilDate is a day of the proleptic Gregorian calendar, without a zone.
type CivilDate struct {
	Year  int
	Month time.Month
	Day   int
}

// CivilTime is a time of day without a zone. The database keeps microseconds.
type CivilTime struct {
	Hour, Minute, Second, Nanosecond int
}

// CivilDateTime is a day and a time without a zone. The database keeps
// milliseconds.
type CivilDateTime struct {
	Date CivilDate
	Time CivilTime
}

// DateOf returns the day of t in t's location.
func DateOf(t time.Time) CivilDate {
	y, m, d := t.Date()
	return CivilDate{y, m, d}
}

// EpochDay returns the number of days since 1970-01-01.
func (d CivilDate) EpochDay() int64 {
	return floorDiv(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix(), 86400)
}

// DateFromEpochDay is the inverse of CivilDate.EpochDay.
func DateFromEpochDay(n int64) CivilDate { return DateOf(time.Unix(n*86400, 0).UTC()) }

// Check reports a day that is in no calendar, as 2026-02-30: ErrBadArgument.
func (d CivilDate) Check() error {
	if DateFromEpochDay(d.EpochDay()) != d {
		return Errorf(ErrBadArgument, "%s is not a day of the calendar", d)
	}
	return nil
}

// String renders YYYY-MM-DD.
func (d CivilDate) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (CivilDate, error) {
	t, err := time.Parse("2006-01-02", s)
	if err != nil {
		return CivilDate{}, Errorf(ErrBadArgument, "%q is not a date (YYYY-MM-DD)", s)
	}
	return DateOf(t), nil
}

// TimeOf returns the time of day of t in t's location.
func TimeOf(t time.Time) CivilTime {
	return CivilTime{t.Hour(), t.Minute(), t.Second(), t.Nanosecond()}
}

// NanoOfDay returns the nanoseconds since midnight.
func (t CivilTime) NanoOfDay() int64 {
	return ((int64(t.Hour)*60+int64(t.Minute))*60+int64(t.Second))*int64(time.Second) + int64(t.Nanosecond)
}

// Check reports a time that no day has, as 10:60:00: ErrBadArgument.
func (t CivilTime) Check() error {
	if t.Hour < 0 || t.Hour > 23 || t.Minute < 0 || t.Minute > 59 || t.Second < 0 || t.Second > 59 || t.Nanosecond < 0 || t.Nanosecond >= int(time.Second) {
		return Errorf(ErrBadArgument, "%s is not a time of day", t)
	}
	return nil
}

// TimeFromNanoOfDay is the inverse of CivilTime.NanoOfDay.
func TimeFromNanoOfDay(n int64) CivilTime {
	s := n / int64(time.Second)
	return CivilTime{int(s / 3600), int(s / 60 % 60), int(s % 60), int(n % int64(time.Second))}
}

// String renders HH:MM:SS with as many decimals as are needed.
func (t CivilTime) String() string {
	s := fmt.Sprintf("%02d:%02d:%02d", t.Hour, t.Minute, t.Second)
	if t.Nanosecond != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%09d", t.Nanosecond), "0")
	}
	return s
}

// ParseTime reads HH:MM:SS[.fffffffff].
func ParseTime(s string) (CivilTime, error) {
	t, err := time.Parse("15:04:05.999999999", s)
	if err != nil {
		return CivilTime{}, Errorf(ErrBadArgument, "%q is not a time (HH:MM:SS[.ffffff])", s)
	}
	return TimeOf(t), nil
}

// DateTimeOf returns the wall clock of t in t's location.
func DateTimeOf(t time.Time) CivilDateTime { return CivilDateTime{DateOf(t), TimeOf(t)} }

// EpochMilli returns milliseconds since 1970-01-01T00:00, rounded down.
func (d CivilDateTime) EpochMilli() int64 {
	return d.Date.EpochDay()*milliPerDay + d.Time.NanoOfDay()/int64(time.Millisecond)
}

// Check reports a day that is in no calendar or a time that no day has:
// ErrBadArgument.
func (d CivilDateTime) Check() error {
	if err := d.Date.Check(); err != nil {
		return err
	}
	return d.Time.Check()
}

// DateTimeFromEpochMilli is the inverse of CivilDateTime.EpochMilli.
func DateTimeFromEpochMilli(ms int64) CivilDateTime {
	day := floorDiv(ms, milliPerDay)
	return CivilDateTime{DateFromEpochDay(day), TimeFromNanoOfDay((ms - day*milliPerDay) * int64(time.Millisecond))}
}

// String renders YYYY-MM-DDTHH:MM:SS[.fff].
func (d CivilDateTime) String() string { return d.Date.String() + "T" + d.Time.String() }

// ParseDateTime reads YYYY-MM-DDTHH:MM:SS[.fff]; a blank may stand for the T.
func ParseDateTime(s string) (CivilDateTime, error) {
	date, clock, ok := strings.Cut(s, "T")
	if !ok {
		date, clock, ok = strings.Cut(s, " ")
	}
	if ok {
		d, err1 := ParseDate(date)
		t, err2 := ParseTime(clock)
		if err1 == nil && err2 == nil {
			return CivilDateTime{d, t}, nil
		}
	}
	return CivilDateTime{}, Errorf(ErrBadArgument, "%s is not a date and time (YYYY-MM-DDTHH:MM:SS[.fff])", strconv.Quote(s))
}

// TimestampTZValue makes a TIMESTAMPTZ, cut to milliseconds.
func TimestampTZValue(t time.Time) Value { return TimestampTZMilli(t.UnixMilli()) }

// Instant returns a TIMESTAMPTZ as a time in UTC; the zero time for NULL.
func (v Value) Instant() time.Time {
	if v.null {
		return time.Time{}
	}
	return time.UnixMilli(v.n).UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Date returns a DATE; 1970-01-01 for NULL.
func (v Value) Date() CivilDate { return DateFromEpochDay(v.n) }

// TimeOfDay returns a TIME; midnight for NULL.
func (v Value) TimeOfDay() CivilTime { return TimeFromNanoOfDay(v.n) }

// DateTime returns a TIMESTAMP, or a TIMESTAMPTZ as the wall clock of UTC.
func (v Value) DateTime() CivilDateTime { return DateTimeFromEpochMilli(v.n) }
