package testenv

import (
	"encoding/binary"
	"sync"
)

// PostgresTraffic is what PostgreSQL's clients have sent through a proxy.
type PostgresTraffic struct {
	Statements int64 // executed: Execute and simple Query messages
	Prepares   int64 // parsed: Parse messages
	Syncs      int64 // ends of flights: Sync and simple Query messages
}

// Sub returns the traffic since an earlier reading.
func (a PostgresTraffic) Sub(b PostgresTraffic) PostgresTraffic {
	return PostgresTraffic{a.Statements - b.Statements, a.Prepares - b.Prepares, a.Syncs - b.Syncs}
}

// CountPostgres counts the messages of PostgreSQL's protocol that clients send
// through the proxy from now on. Connections must begin after the call and must
// not be encrypted. The returned function reads the counts.
func CountPostgres(p *Proxy) func() PostgresTraffic {
	var mu sync.Mutex
	var total PostgresTraffic
	streams := map[int64]*pgStream{}
	p.Tap(func(connection int64, toServer bool, data []byte) {
		if !toServer {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		s := streams[connection]
		if s == nil {
			s = &pgStream{}
			streams[connection] = s
		}
		s.write(data, &total)
	})
	return func() PostgresTraffic {
		mu.Lock()
		defer mu.Unlock()
		return total
	}
}

// pgStream takes the messages of one client apart.
type pgStream struct {
	rest    []byte
	skip    int // bytes of the body of the message at hand still to come
	started bool
}

func (s *pgStream) write(data []byte, total *PostgresTraffic) {
	s.rest = append(s.rest, data...)
	for {
		n := min(s.skip, len(s.rest))
		s.rest, s.skip = s.rest[n:], s.skip-n
		if s.skip > 0 {
			return
		}
		if !s.started { // length and code: a request for encryption, or the start
			if len(s.rest) < 8 {
				return
			}
			s.started = binary.BigEndian.Uint32(s.rest[4:])>>16 == 3
			s.skip = int(binary.BigEndian.Uint32(s.rest))
			continue
		}
		if len(s.rest) < 5 {
			return
		}
		switch s.rest[0] {
		case 'E':
			total.Statements++
		case 'P':
			total.Prepares++
		case 'S':
			total.Syncs++
		case 'Q':
			total.Statements++
			total.Syncs++
		}
		s.skip = 1 + int(binary.BigEndian.Uint32(s.rest[1:]))
	}
}
