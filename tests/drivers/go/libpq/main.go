// lib/pq, with database/sql, through the PostgreSQL door. It prepares each statement that has
// arguments without a name, unless the program prepares it.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	. "drivers/harness"
)

var background = context.Background()

// A client has one connection of a pool of its own.
type client struct {
	*sql.Conn
	pool *sql.DB
}

func (c client) Exec(text string, args ...any) error {
	_, err := c.ExecContext(background, text, args...)
	return err
}

func (c client) Rows(text string, args ...any) ([][]any, error) {
	rows, err := c.QueryContext(background, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	found := [][]any{}
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for n := range row {
			into[n] = &row[n]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

func (c client) Close() {
	_ = c.Conn.Close()
	_ = c.pool.Close()
}

func open(options Options) (Client, error) {
	with := Options{"sslmode": "prefer"}
	for name, value := range options {
		with[name] = value
	}
	connector, err := pq.NewConnector(with.DSN())
	if err != nil {
		return nil, err
	}
	return connect(sql.OpenDB(connector))
}

func connect(pool *sql.DB) (Client, error) {
	conn, err := pool.Conn(background)
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	return client{conn, pool}, nil
}

func conn(t *T, options Options) client { return t.Connect(options).(client) }

func sqlstate(err error) string {
	if found := pq.As(err); found != nil {
		return string(found.Code)
	}
	return ""
}

func scan[V any](t *T, c client, text string, args ...any) V {
	var value V
	t.Must(c.QueryRowContext(background, text, args...).Scan(&value))
	return value
}

func roundTrip[V any](t *T, c client, name string, value V) {
	t.Same(scan[V](t, c, "SELECT $1::"+name, value), value)
}

func scramLogin(t *T) {
	t.Same(scan[string](t, conn(t, nil), "SELECT current_user"), User)
}

func types(t *T) {
	for _, binary := range []string{"no", "yes"} {
		c := conn(t, Options{"binary_parameters": binary})
		roundTrip(t, c, "int2", int16(-32768))
		roundTrip(t, c, "int4", int32(2147483647))
		roundTrip(t, c, "int8", int64(-9223372036854775808))
		roundTrip(t, c, "float8", 1.5e-300)
		roundTrip(t, c, "numeric", "-12345678901234567890.000123")
		roundTrip(t, c, "bool", true)
		roundTrip(t, c, "bool", false)
		roundTrip(t, c, "text", "tea ☕ 'and' \\ \"more\"\n$1 %s ?")
		roundTrip(t, c, "bytea", []byte{0, 1, 39, 92, 255})
		instant := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
		t.Same(scan[time.Time](t, c, "SELECT $1::timestamptz", instant).UTC(), instant)
		t.Same(scan[time.Time](t, c, "SELECT $1::date", "2024-02-29").UTC(), time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
		roundTrip(t, c, "uuid", "00000000-0000-4000-8000-00000000abcd")
		roundTrip(t, c, "jsonb", `{"a": [1, null, "é"]}`)
		var texts []string
		t.Must(c.QueryRowContext(background, "SELECT $1::text[]", pq.Array([]string{"a,b", `c"d`, ""})).Scan(pq.Array(&texts)))
		t.Same(texts, []string{"a,b", `c"d`, ""})
		var numbers []sql.NullInt64
		array := pq.Array([]sql.NullInt64{{}, {Int64: 3, Valid: true}})
		t.Must(c.QueryRowContext(background, "SELECT $1::int4[]", array).Scan(pq.Array(&numbers)))
		t.Same(numbers, []sql.NullInt64{{}, {Int64: 3, Valid: true}})
	}
}

func unnamedParameters(t *T) {
	for _, binary := range []string{"no", "yes"} {
		c := conn(t, Options{"binary_parameters": binary})
		for n := range 20 {
			t.Same(scan[int](t, c, "SELECT $1::int + 1", n), n+1)
			t.Same(scan[string](t, c, "SELECT 'tea ' || $1::text", fmt.Sprint(n)), fmt.Sprint("tea ", n))
			t.Same(scan[bool](t, c, "SELECT $1::bool", n%2 == 0), n%2 == 0)
		}
	}
}

func prepare(t *T, c client, text string) *sql.Stmt {
	statement, err := c.PrepareContext(background, text)
	t.Must(err)
	return statement
}

func preparedNamed(t *T) {
	c := conn(t, nil)
	one, two := prepare(t, c, "SELECT $1::int + 1"), prepare(t, c, "SELECT 'tea ' || $1::text")
	for n := range 10 {
		var number int
		var text string
		t.Must(one.QueryRow(n).Scan(&number))
		t.Must(two.QueryRow("cup").Scan(&text))
		t.Same(number, n+1)
		t.Same(text, "tea cup")
	}
	t.Must(one.Close())
	_, err := c.PrepareContext(background, "SELECT FROM FROM")
	t.Fails("42601", err)
	three := prepare(t, c, "SELECT $1::int + 3")
	var number int
	t.Must(three.QueryRow(4).Scan(&number))
	t.Same(number, 7)
	_, err = two.Exec("cup")
	t.Must(err)
}

func preparedReused(t *T) {
	c := conn(t, nil)
	statement := prepare(t, c, "SELECT pg_backend_pid(), $1::int + 1")
	pids := t.Walk(func() any {
		tx, err := c.BeginTx(background, nil)
		t.Must(err)
		var pid, answer int
		t.Must(tx.Stmt(statement).QueryRow(41).Scan(&pid, &answer))
		t.Must(tx.Commit())
		t.Same(answer, 42)
		return pid
	})
	t.Same(len(pids), WalkedAll())
}

// It has no pipeline: several statements in one text are what it can send at once.
func pipeline(t *T) {
	c := conn(t, nil)
	table := t.Table(c, "pipeline", "n int PRIMARY KEY")
	text := strings.Builder{}
	for n := range 200 {
		fmt.Fprintf(&text, "INSERT INTO %s VALUES (%d); ", table, n)
	}
	t.Exec(c, text.String())
	t.Fails("23505", c.Exec(fmt.Sprintf("INSERT INTO %s VALUES (200); INSERT INTO %[1]s VALUES (7)", table)))
	t.Same(t.Numbers(c, table), Range(0, 199))
	rows, err := c.QueryContext(background, "SELECT 1; SELECT 'two'")
	t.Must(err)
	defer rows.Close()
	found := []string{}
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			var value string
			t.Must(rows.Scan(&value))
			found = append(found, value)
		}
	}
	t.Must(rows.Err())
	t.Same(found, []string{"1", "two"})
}

func copyIn(t *T) {
	c := conn(t, nil)
	table := t.Table(c, "copy_in", "n int, t text")
	// One that lasts to the end of the transaction is the only kind it has.
	load := func(rows ...[]any) error {
		tx, err := c.BeginTx(background, nil)
		t.Must(err)
		defer tx.Rollback()
		statement, err := tx.Prepare("COPY " + table + " (n, t) FROM STDIN")
		t.Must(err)
		for _, row := range rows {
			if _, err := statement.Exec(row...); err != nil {
				return err
			}
		}
		if _, err := statement.Exec(); err != nil {
			return err
		}
		t.Must(statement.Close())
		return tx.Commit()
	}
	rows := [][]any{}
	for n := range 5000 {
		row := []any{n, fmt.Sprintf("row %d\t\\", n)}
		if n%7 == 0 {
			row[1] = nil
		}
		rows = append(rows, row)
	}
	t.Must(load(rows...))
	t.Same(t.Numbers(c, table), Range(0, 4999))
	t.Same(scan[string](t, c, "SELECT t FROM "+table+" WHERE n = 4999"), "row 4999\t\\")
	t.Same(scan[int](t, c, "SELECT count(*) FROM "+table+" WHERE t IS NULL"), 715)
	t.Fails("22P02", load([]any{1, "one"}, []any{"x", "two"}))
	t.Same(scan[int](t, c, "SELECT count(*) FROM "+table), 5000)
}

func cancel(t *T) {
	c, other := conn(t, nil), t.Connect(nil)
	marker := t.Word("cancel")
	cancellable, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() {
		_, err := c.ExecContext(cancellable, "SELECT pg_sleep(30) /* "+marker+" */")
		ended <- err
	}()
	for t.Value(other, Running, marker) != any(int64(1)) {
	}
	cancel()
	t.Fails("57014", <-ended)
	t.Same(t.Value(other, Running, marker), any(int64(0)))
	// The driver gives up a connection whose context ended, and its pool goes on with another.
	t.Must(c.Conn.Close())
	var answer int
	t.Must(c.pool.QueryRow("SELECT $1::int", 1).Scan(&answer))
	t.Same(answer, 1)
}

func notice(t *T) {
	found := []string{}
	connector, err := pq.NewConnector("sslmode=prefer")
	t.Must(err)
	with := pq.ConnectorWithNoticeHandler(connector, func(notice *pq.Error) { found = append(found, notice.Message) })
	t.Open = func(Options) (Client, error) { return connect(sql.OpenDB(with)) }
	t.Exec(t.Connect(nil), "DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$")
	t.Same(found, []string{"tea is ready"})
}

func listenNotify(t *T) {
	other := t.Connect(nil)
	channel := t.Word("channel")
	// Before it is connected it tries a refused LISTEN for ever; then it tells.
	connected := make(chan error, 1)
	listener := pq.NewListener("sslmode=prefer", time.Second, time.Second, func(_ pq.ListenerEventType, err error) {
		select {
		case connected <- err:
		default:
		}
	})
	defer listener.Close()
	t.Must(<-connected)
	err := listener.Listen(channel)
	if Mode == "transaction" {
		t.Fails("0A000", err)
		t.Same(t.Value(other, "SELECT 1"), any(int64(1)))
		return
	}
	t.Must(err)
	t.Exec(other, "SELECT pg_notify($1, $2)", channel, "tea")
	select {
	case found := <-listener.NotificationChannel():
		t.Same([]string{found.Channel, found.Extra}, []string{channel, "tea"})
	case <-time.After(20 * time.Second):
		t.Fail("no notification in 20 s")
	}
}

func encrypted(t *T) {
	if TLSCA == "" {
		t.Skip("PGPOOL_TLS_CA is not set")
	}
	// It refuses to connect without encryption in this mode, and hides the socket.
	c := conn(t, Options{"sslmode": "verify-full", "sslrootcert": TLSCA})
	t.Same(scan[int](t, c, "SELECT 1"), 1)
}

func main() {
	Main(Driver{
		Name: "libpq", Title: "lib/pq " + Version("github.com/lib/pq"), Open: open, SQLState: sqlstate,
		Own: map[string]func(*T){
			"scram_login":                         scramLogin,
			"types":                               types,
			"unnamed_parameters":                  unnamedParameters,
			"prepared_named":                      preparedNamed,
			"prepared_reused_across_transactions": preparedReused,
			"pipeline":                            pipeline,
			"copy_in":                             copyIn,
			"copy_out":                            func(t *T) { t.Skip("lib/pq refuses COPY TO") },
			"cancel":                              cancel,
			"notice":                              notice,
			"listen_notify":                       listenNotify,
			"tls":                                 encrypted,
		},
	})
}
