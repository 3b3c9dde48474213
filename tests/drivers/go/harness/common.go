package harness

import (
	"bytes"
	"strings"
	"sync"
)

// The behaviours that need nothing but statements with arguments.
var common = map[string]func(*T){
	"scram_login": func(t *T) {
		client := t.Connect(Options{"require_auth": "scram-sha-256"})
		t.Same(t.Value(client, "SELECT current_user::text"), any(User))
	},
	"wrong_password": func(t *T) {
		client, err := t.Open(Options{"password": "wrong"})
		if err == nil {
			client.Close()
		}
		t.Fails("28P01", err)
	},
	"null_and_empty":                   nullAndEmpty,
	"error_then_usable":                errorThenUsable,
	"transaction_commit":               transactionCommit,
	"transaction_rollback":             transactionRollback,
	"savepoint":                        savepoint,
	"failed_transaction_then_rollback": failedTransaction,
	"cursor":                           cursor,
	"settings_follow":                  settingsFollow,
	"many_clients":                     manyClients,
	"large_value":                      largeValue,
	"temp_table_outside_transaction":   temporaryTable,
	"lastval_in_transaction":           lastval,
}

func nullAndEmpty(t *T) {
	client := t.Connect(nil)
	table := t.Table(client, "null_and_empty", "n int, t text, b bytea")
	rows := [][]any{{int64(1), nil, nil}, {int64(2), "", []byte{}}, {int64(3), "x", []byte{0}}}
	for _, row := range rows {
		t.Exec(client, "INSERT INTO "+table+" VALUES ($1, $2, $3)", row...)
	}
	found, err := client.Rows("SELECT n, t, b FROM " + table + " ORDER BY n")
	t.Must(err)
	t.Same(found, rows)
	where := "SELECT n FROM " + table + " WHERE t IS NOT DISTINCT FROM $1::text"
	t.Same(t.Value(client, where, nil), any(int64(1)))
	t.Same(t.Value(client, where, ""), any(int64(2)))
}

func errorThenUsable(t *T) {
	client := t.Connect(nil)
	table := t.Table(client, "errors", "n int PRIMARY KEY")
	t.Fails("22012", client.Exec("SELECT 1 / $1::int", 0))
	t.Same(t.Value(client, "SELECT 1"), any(int64(1)))
	t.Fails("42P01", client.Exec("SELECT * FROM drivers_nowhere"))
	insert := "INSERT INTO " + table + " VALUES ($1)"
	t.Exec(client, insert, 7)
	t.Fails("23505", client.Exec(insert, 7))
	t.Same(t.Numbers(client, table), []int64{7})
}

func transactionCommit(t *T) {
	client, other := t.Connect(nil), t.Connect(nil)
	table := t.Table(client, "commit", "n int")
	t.Exec(client, "BEGIN")
	t.Exec(client, "INSERT INTO "+table+" VALUES ($1)", 1)
	t.Exec(client, "INSERT INTO "+table+" VALUES ($1)", 2)
	t.Same(t.Numbers(other, table), []int64{})
	t.Exec(client, "COMMIT")
	t.Same(t.Numbers(other, table), []int64{1, 2})
}

func transactionRollback(t *T) {
	client := t.Connect(nil)
	table := t.Table(client, "rollback", "n int")
	t.Exec(client, "BEGIN ISOLATION LEVEL SERIALIZABLE")
	t.Same(t.Value(client, "SHOW transaction_isolation"), any("serializable"))
	t.Exec(client, "INSERT INTO "+table+" VALUES ($1)", 1)
	t.Same(t.Numbers(client, table), []int64{1})
	t.Exec(client, "ROLLBACK")
	t.Same(t.Numbers(client, table), []int64{})
}

func savepoint(t *T) {
	client := t.Connect(nil)
	table := t.Table(client, "savepoint", "n int")
	insert := "INSERT INTO " + table + " VALUES ($1)"
	t.Exec(client, "BEGIN")
	t.Exec(client, insert, 1)
	t.Exec(client, "SAVEPOINT s")
	t.Exec(client, insert, 2)
	t.Fails("22012", client.Exec("SELECT 1 / 0"))
	t.Exec(client, "ROLLBACK TO SAVEPOINT s")
	t.Exec(client, insert, 3)
	t.Exec(client, "COMMIT")
	t.Same(t.Numbers(client, table), []int64{1, 3})
}

func failedTransaction(t *T) {
	client := t.Connect(nil)
	table := t.Table(client, "failed", "n int")
	t.Exec(client, "BEGIN")
	t.Exec(client, "INSERT INTO "+table+" VALUES ($1)", 1)
	t.Fails("42703", client.Exec("SELECT nothing"))
	t.Fails("25P02", client.Exec("SELECT 1"))
	t.Exec(client, "ROLLBACK")
	t.Same(t.Numbers(client, table), []int64{})
}

// Neither driver has cursors of its own, but those of SQL are for everybody.
func cursor(t *T) {
	client := t.Connect(nil)
	t.Exec(client, "BEGIN")
	t.Exec(client, "DECLARE pieces CURSOR FOR SELECT generate_series(1, 1000)")
	found := []int64{}
	for {
		rows, err := client.Rows("FETCH 70 FROM pieces")
		t.Must(err)
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			found = append(found, row[0].(int64))
		}
	}
	t.Same(found, Range(1, 1000))
	t.Exec(client, "DECLARE half CURSOR FOR SELECT generate_series(1, 1000)")
	t.Same(t.Value(client, "FETCH half"), any(int64(1)))
	t.Exec(client, "COMMIT")
	t.Fails("34000", client.Exec("FETCH half"))
	t.Same(t.Value(client, "SELECT 1"), any(int64(1)))
}

func settingsFollow(t *T) {
	clients := []Client{t.Connect(nil), t.Connect(Settings[1])}
	for name, value := range Settings[0] {
		t.Exec(clients[0], "SELECT set_config($1, $2, false)", name, value)
	}
	t.Walk(func() any {
		for n, client := range clients {
			for name, value := range Settings[n] {
				t.Same(t.Value(client, "SHOW "+name), any(value))
			}
		}
		return nil
	})
}

func manyClients(t *T) {
	table := t.Table(t.Connect(nil), "many", "n int")
	// Where each client keeps a server connection, they come and go; elsewhere all are there.
	var connected, ended sync.WaitGroup
	connected.Add(Clients)
	failures := make(chan any, Clients)
	for range Clients {
		ended.Go(func() {
			client, err := t.Open(nil)
			connected.Done()
			defer func() {
				if reason := recover(); reason != nil {
					failures <- reason
				}
			}()
			t.Must(err)
			defer client.Close()
			if Shared {
				connected.Wait()
			}
			for n := range int64(10) {
				t.Exec(client, "BEGIN")
				t.Exec(client, "INSERT INTO "+table+" VALUES ($1)", n)
				t.Same(t.Value(client, "SELECT $1::bigint", n), any(n))
				t.Exec(client, "COMMIT")
			}
		})
	}
	ended.Wait()
	select {
	case reason := <-failures:
		panic(reason)
	default:
	}
	expected := []int64{}
	for n := range int64(10) {
		for range Clients {
			expected = append(expected, n)
		}
	}
	t.Same(t.Numbers(t.Connect(nil), table), expected)
}

func largeValue(t *T) {
	const size = 4 << 20
	client := t.Connect(nil)
	text := strings.Repeat("xé", size/3)
	data := bytes.Repeat([]byte{0, 1, 2, 255}, size/4)
	t.Same(t.Value(client, "SELECT length($1::text)", text), any(int64(size/3*2)))
	t.Same(t.Value(client, "SELECT $1::text", text) == any(text), true)
	t.Same(t.Value(client, "SELECT length($1::bytea)", data), any(int64(len(data))))
	t.Same(bytes.Equal(t.Value(client, "SELECT $1::bytea", data).([]byte), data), true)
}

func temporaryTable(t *T) {
	client := t.Connect(nil)
	name := t.Word("temporary")
	create := "CREATE TEMPORARY TABLE " + name + " (n int)"
	if Mode == "transaction" {
		t.Fails("0A000", client.Exec(create))
		t.Same(t.Value(client, "SELECT 1"), any(int64(1)))
		return
	}
	t.Exec(client, create)
	t.Exec(client, "INSERT INTO "+name+" VALUES ($1)", 1)
	t.Same(t.Numbers(client, name), []int64{1})
	t.Fails("42P01", t.Connect(nil).Exec("SELECT n FROM "+name))
}

func lastval(t *T) {
	client, other := t.Connect(nil), t.Connect(nil)
	table := t.Table(client, "lastval", "id serial, t text")
	insert := "INSERT INTO " + table + " (t) VALUES ($1) RETURNING id"
	for turn := range int64(3) {
		t.Exec(client, "BEGIN")
		mine := t.Value(client, insert, "tea").(int64)
		t.Same(t.Value(other, insert, "milk"), any(mine+1))
		t.Same(t.Value(client, "SELECT lastval()"), any(mine))
		t.Exec(client, "COMMIT")
		t.Same(mine, 2*turn+1)
	}
}
