// pgx through the PostgreSQL door. It prepares and caches statements, and wants its results in binary.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	. "drivers/harness"
)

var background = context.Background()

type client struct{ *pgx.Conn }

func (c client) Exec(sql string, args ...any) error {
	_, err := c.Conn.Exec(background, sql, args...)
	return err
}

func (c client) Rows(sql string, args ...any) ([][]any, error) {
	rows, err := c.Query(background, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) {
		values, err := row.Values()
		for n, value := range values {
			switch value := value.(type) {
			case int32:
				values[n] = int64(value)
			case int16:
				values[n] = int64(value)
			}
		}
		return values, err
	})
}

func (c client) Close() { _ = c.Conn.Close(background) }

func config(options Options) (*pgx.ConnConfig, error) { return pgx.ParseConfig(options.DSN()) }

func open(options Options) (Client, error) {
	config, err := config(options)
	if err != nil {
		return nil, err
	}
	return connect(config)
}

func connect(config *pgx.ConnConfig) (Client, error) {
	conn, err := pgx.ConnectConfig(background, config)
	if err != nil {
		return nil, err
	}
	return client{conn}, nil
}

// conn is a connection with the changes to its configuration.
func conn(t *T, changes ...func(*pgx.ConnConfig)) *pgx.Conn {
	driver := t.Open
	defer func() { t.Open = driver }()
	t.Open = func(options Options) (Client, error) {
		config, err := config(options)
		t.Must(err)
		for _, change := range changes {
			change(config)
		}
		return connect(config)
	}
	return t.Connect(nil).(client).Conn
}

func sqlstate(err error) string {
	if found, ok := As[*pgconn.PgError](err); ok {
		return found.Code
	}
	return ""
}

// scan has the value of a statement in a variable of the type wanted.
func scan[V any](t *T, c *pgx.Conn, sql string, args ...any) V {
	var value V
	t.Must(c.QueryRow(background, sql, args...).Scan(&value))
	return value
}

func roundTrip[V any](t *T, c *pgx.Conn, name string, value V) {
	t.Same(scan[V](t, c, "SELECT $1::"+name, value), value)
}

func bigInt(digits string) *big.Int {
	number, _ := new(big.Int).SetString(digits, 10)
	return number
}

func types(t *T) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol} {
		c := conn(t, func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode })
		roundTrip(t, c, "int2", int16(-32768))
		roundTrip(t, c, "int4", int32(2147483647))
		roundTrip(t, c, "int8", int64(-9223372036854775808))
		roundTrip(t, c, "float8", 1.5e-300)
		roundTrip(t, c, "numeric", pgtype.Numeric{Int: bigInt("-12345678901234567890000123"), Exp: -6, Valid: true})
		roundTrip(t, c, "bool", true)
		roundTrip(t, c, "bool", false)
		roundTrip(t, c, "text", "tea ☕ 'and' \\ \"more\"\n$1 %s ?")
		roundTrip(t, c, "bytea", []byte{0, 1, 39, 92, 255})
		roundTrip(t, c, "date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
		roundTrip(t, c, "timestamp", time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC))
		instant := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
		t.Same(scan[time.Time](t, c, "SELECT $1::timestamptz", instant).UTC(), instant)
		roundTrip(t, c, "interval", pgtype.Interval{Days: -3, Microseconds: 5000000, Valid: true})
		roundTrip(t, c, "inet", netip.MustParsePrefix("10.1.2.3/32"))
		roundTrip(t, c, "uuid", pgtype.UUID{Bytes: [16]byte{8: 0x80, 15: 0xcd}, Valid: true})
		roundTrip(t, c, "text[]", []string{"a,b", `c"d`, ""})
		three := int32(3)
		roundTrip(t, c, "int4[]", []*int32{nil, &three})
	}
	roundTrip(t, conn(t), "jsonb", map[string]any{"a": []any{1.5, nil, "é"}})
}

func unnamedParameters(t *T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		c := conn(t, func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode })
		for n := range 20 {
			t.Same(scan[int](t, c, "SELECT $1::int + 1", n), n+1)
			t.Same(scan[string](t, c, "SELECT 'tea ' || $1::text", fmt.Sprint(n)), fmt.Sprint("tea ", n))
			t.Same(scan[bool](t, c, "SELECT $1::bool", n%2 == 0), n%2 == 0)
		}
	}
}

func preparedNamed(t *T) {
	c := conn(t, func(config *pgx.ConnConfig) { config.StatementCacheCapacity = 3 })
	for turn := range 3 {
		for n := range 6 {
			t.Same(scan[int](t, c, fmt.Sprintf("SELECT %d + $1::int", n), turn), n+turn)
		}
	}
	for _, name := range []string{"one", "two"} {
		_, err := c.Prepare(background, name, "SELECT '"+name+"' || $1::text")
		t.Must(err)
	}
	for range 3 {
		t.Same(scan[string](t, c, "one", "!"), "one!")
		t.Same(scan[string](t, c, "two", "?"), "two?")
	}
	t.Must(c.Deallocate(background, "one"))
	t.Same(scan[string](t, c, "two", "?"), "two?")
	_, err := c.PgConn().ExecPrepared(background, "one", [][]byte{{}}, nil, nil).Close()
	t.Fails("26000", err)
	t.Must(c.DeallocateAll(background))
	t.Same(scan[int](t, c, "SELECT $1::int", 1), 1)
}

func preparedReused(t *T) {
	c := conn(t)
	sql := "SELECT pg_backend_pid()::bigint, $1::int + 1"
	_, err := c.Prepare(background, "again", sql)
	t.Must(err)
	pids := t.Walk(func() any {
		var pid int64
		var answer int
		t.Must(pgx.BeginFunc(background, c, func(tx pgx.Tx) error {
			return tx.QueryRow(background, "again", 41).Scan(&pid, &answer)
		}))
		t.Same(answer, 42)
		return pid
	})
	t.Same(len(pids), WalkedAll())
}

func pipeline(t *T) {
	c := conn(t)
	table := t.Table(client{c}, "pipeline", "n int PRIMARY KEY")
	insert := "INSERT INTO " + table + " VALUES ($1)"
	// A batch is one transaction.
	batch := &pgx.Batch{}
	for n := range 200 {
		batch.Queue(insert, n)
	}
	var count int
	batch.Queue("SELECT count(*) FROM " + table).QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
	t.Must(c.SendBatch(background, batch).Close())
	t.Same(count, 200)
	failing := &pgx.Batch{}
	for _, n := range []int{200, 7, 201} {
		failing.Queue(insert, n)
	}
	t.Fails("23505", c.SendBatch(background, failing).Close())
	t.Same(t.Numbers(client{c}, table), Range(0, 199))
	// In a pipeline each Sync ends one, and what comes after an error's Sync is executed.
	pipe := c.PgConn().StartPipeline(background)
	for _, n := range []string{"200", "7", "201"} {
		pipe.SendQueryParams(insert, [][]byte{[]byte(n)}, nil, nil, nil)
		t.Must(pipe.Sync())
	}
	states := []string{}
	for syncs := 0; syncs < 3; {
		result, err := pipe.GetResults()
		if reader, ok := result.(*pgconn.ResultReader); ok {
			_, err = reader.Close()
		} else if _, ok := result.(*pgconn.PipelineSync); ok {
			syncs++
			continue
		}
		states = append(states, sqlstate(err))
	}
	t.Must(pipe.Close())
	t.Same(states, []string{"", "23505", ""})
	t.Same(t.Numbers(client{c}, table), Range(0, 201))
}

func copyIn(t *T) {
	c := conn(t)
	table := t.Table(client{c}, "copy_in", "n int, t text")
	count, err := c.CopyFrom(background, pgx.Identifier{table}, []string{"n", "t"},
		pgx.CopyFromSlice(5000, func(n int) ([]any, error) {
			if n%7 == 0 {
				return []any{n, nil}, nil
			}
			return []any{n, fmt.Sprintf("row %d\t\\", n)}, nil
		}))
	t.Must(err)
	t.Same(count, int64(5000))
	t.Same(t.Numbers(client{c}, table), Range(0, 4999))
	t.Same(scan[string](t, c, "SELECT t FROM "+table+" WHERE n = 4999"), "row 4999\t\\")
	t.Same(scan[int](t, c, "SELECT count(*) FROM "+table+" WHERE t IS NULL"), 715)
	wrong := strings.NewReader("1\tone\nx\ttwo\n")
	_, err = c.PgConn().CopyFrom(background, wrong, "COPY "+table+" FROM STDIN")
	t.Fails("22P02", err)
	// An error of the client's own ends the COPY at the server, too.
	enough := errors.New("enough")
	_, err = c.CopyFrom(background, pgx.Identifier{table}, []string{"n"},
		pgx.CopyFromFunc(func() ([]any, error) { return nil, enough }))
	t.Same(err != nil, true)
	t.Same(scan[int](t, c, "SELECT count(*) FROM "+table), 5000)
}

func copyOut(t *T) {
	c := conn(t)
	var found bytes.Buffer
	tag, err := c.PgConn().CopyTo(background, &found, "COPY (SELECT generate_series(1, 5000)) TO STDOUT")
	t.Must(err)
	t.Same(tag.String(), "COPY 5000")
	expected := ""
	for _, n := range Range(1, 5000) {
		expected += fmt.Sprintln(n)
	}
	t.Same(found.String(), expected)
	t.Same(scan[int](t, c, "SELECT 1"), 1)
}

func cancel(t *T) {
	// pgx closes the connection by default; this way it sends a cancel request.
	c := conn(t, func(config *pgx.ConnConfig) {
		config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 20 * time.Second}
		}
	})
	other := t.Connect(nil)
	marker := t.Word("cancel")
	cancellable, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() {
		_, err := c.Exec(cancellable, "SELECT pg_sleep(30) /* "+marker+" */")
		ended <- err
	}()
	for t.Value(other, Running, marker) != any(int64(1)) {
	}
	cancel()
	t.Fails("57014", <-ended)
	t.Same(scan[int](t, c, "SELECT 1"), 1)
	t.Same(t.Value(other, Running, marker), any(int64(0)))
}

func notice(t *T) {
	found := []string{}
	c := conn(t, func(config *pgx.ConnConfig) {
		config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { found = append(found, notice.Message) }
	})
	t.Exec(client{c}, "DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$")
	t.Same(found, []string{"tea is ready"})
}

func listenNotify(t *T) {
	c, other := conn(t), t.Connect(nil)
	channel := t.Word("channel")
	_, err := c.Exec(background, "LISTEN "+channel)
	if Mode == "transaction" {
		t.Fails("0A000", err)
		t.Same(scan[int](t, c, "SELECT 1"), 1)
		return
	}
	t.Must(err)
	t.Exec(other, "SELECT pg_notify($1, $2)", channel, "tea")
	limited, stop := context.WithTimeout(background, 20*time.Second)
	defer stop()
	found, err := c.WaitForNotification(limited)
	t.Must(err)
	t.Same([]string{found.Channel, found.Payload}, []string{channel, "tea"})
}

// Its own pool, too.
func manyClients(t *T) {
	RunCommon(t, "many_clients")
	config, err := pgxpool.ParseConfig("")
	t.Must(err)
	config.MaxConns = int32(Connections / 2)
	if Shared {
		config.MaxConns = int32(Clients)
	}
	pool, err := pgxpool.NewWithConfig(background, config)
	t.Must(err)
	defer pool.Close()
	var group sync.WaitGroup
	found := make([]error, 200)
	for n := range found {
		group.Go(func() {
			found[n] = pgx.BeginFunc(background, pool, func(tx pgx.Tx) error {
				var answer int
				if err := tx.QueryRow(background, "SELECT $1::int", n).Scan(&answer); err != nil {
					return err
				}
				if answer != n {
					return fmt.Errorf("expected %d, found %d", n, answer)
				}
				return nil
			})
		})
	}
	group.Wait()
	t.Must(errors.Join(found...))
}

func encrypted(t *T) {
	if TLSCA == "" {
		t.Skip("PGPOOL_TLS_CA is not set")
	}
	c := t.Connect(Options{"sslmode": "verify-full", "sslrootcert": TLSCA}).(client)
	t.Same(scan[int](t, c.Conn, "SELECT 1"), 1)
	t.Same(fmt.Sprintf("%T", c.PgConn().Conn()), "*tls.Conn")
}

func main() {
	Main(Driver{
		Name: "pgx", Title: "pgx " + Version("github.com/jackc/pgx/v5"), Open: open, SQLState: sqlstate,
		Own: map[string]func(*T){
			"types":                               types,
			"unnamed_parameters":                  unnamedParameters,
			"prepared_named":                      preparedNamed,
			"prepared_reused_across_transactions": preparedReused,
			"pipeline":                            pipeline,
			"copy_in":                             copyIn,
			"copy_out":                            copyOut,
			"cancel":                              cancel,
			"notice":                              notice,
			"listen_notify":                       listenNotify,
			"many_clients":                        manyClients,
			"tls":                                 encrypted,
		},
	})
}
