// Package harness runs the behaviours of a driver and prints one line for each. It knows no driver.
package harness

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// What the environment says.
var (
	Mode  = os.Getenv("MODE")
	User  = os.Getenv("PGUSER")
	TLSCA = os.Getenv("PGPOOL_TLS_CA")
	// Connections is how many server connections the database has.
	Connections, _ = strconv.Atoi(os.Getenv("CONNECTIONS"))
	// Shared says whether clients are moved from one server connection to another.
	Shared  = Mode != "session"
	Clients = 4 * Connections
)

// Running counts the statements with a text of this kind that others are running.
const Running = `SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01)
	WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0`

// Settings are a client's own, and another's.
var Settings = []Options{
	{"application_name": "tea", "search_path": "pg_catalog, public", "timezone": "Asia/Tokyo"},
	{"application_name": "milk", "search_path": "public", "timezone": "America/Lima"},
}

// Options are parameters of a connection, by libpq's names.
type Options map[string]string

// DSN has the options in libpq's form; all else is in the environment.
func (options Options) DSN() string {
	words := []string{}
	for name, value := range options {
		words = append(words, fmt.Sprintf("%s='%s'", name, value))
	}
	return strings.Join(words, " ")
}

// A Client is what the behaviours need that are the same for all drivers.
type Client interface {
	Exec(sql string, args ...any) error
	// Rows has integers as int64, and all else as the driver gives it.
	Rows(sql string, args ...any) ([][]any, error)
	Close()
}

// A Driver under test; Own has the behaviours that differ from driver to driver.
type Driver struct {
	Name, Title string
	Open        func(Options) (Client, error)
	SQLState    func(error) string
	Own         map[string]func(*T)
}

// A T is one run of one behaviour.
type T struct {
	Driver
	opened []Client
}

// Ends a behaviour.
type failure struct{ reason string }
type skip struct{ reason string }

func (end failure) String() string { return end.reason }

// Main runs the behaviours that the arguments name.
func Main(driver Driver) {
	fmt.Printf("# %s, Go %s\n", driver.Title, strings.TrimPrefix(runtime.Version(), "go"))
	status := 0
	for _, name := range os.Args[1:] {
		switch end := run(driver, name).(type) {
		case nil:
			fmt.Printf("ok %s\n", name)
		case skip:
			fmt.Printf("skip %s: %s\n", name, end.reason)
		default:
			status = 1
			fmt.Printf("not ok %s: %s\n", name, strings.Join(strings.Fields(fmt.Sprint(end)), " "))
		}
	}
	os.Exit(status)
}

func run(driver Driver, name string) (end any) {
	behaviour := driver.Own[name]
	if behaviour == nil {
		behaviour = common[name]
	}
	if behaviour == nil {
		return failure{"the driver leaves it out"}
	}
	t := &T{Driver: driver}
	defer func() {
		end = recover()
		for _, client := range t.opened {
			client.Close()
		}
	}()
	behaviour(t)
	return nil
}

// Fail ends the behaviour.
func (t *T) Fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

// Skip ends the behaviour: the driver has no such feature.
func (t *T) Skip(reason string) { panic(skip{reason}) }

// Must ends the behaviour where there is an error.
func (t *T) Must(err error) {
	if err != nil {
		t.Fail("%v", err)
	}
}

// Same ends the behaviour where the two differ.
func (t *T) Same(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		t.Fail("expected %.200s, found %.200s", fmt.Sprintf("%#v", expected), fmt.Sprintf("%#v", found))
	}
}

// Fails wants an error with this SQLSTATE.
func (t *T) Fails(sqlstate string, err error) {
	if err == nil {
		t.Fail("no error, expected %s", sqlstate)
	}
	if found := t.SQLState(err); found != sqlstate {
		t.Fail("expected %s, found %q: %v", sqlstate, found, err)
	}
}

// Connect gives a client that is closed when the behaviour ends.
func (t *T) Connect(options Options) Client {
	client, err := t.Open(options)
	t.Must(err)
	t.opened = append(t.opened, client)
	return client
}

// Table makes one with a name that no other driver or mode uses.
func (t *T) Table(client Client, word, columns string) string {
	name := t.Word(word)
	t.Exec(client, "DROP TABLE IF EXISTS "+name)
	t.Exec(client, "CREATE TABLE "+name+" ("+columns+")")
	return name
}

// Word is a name that no other driver or mode uses.
func (t *T) Word(word string) string { return "drivers_" + t.Name + "_" + Mode + "_" + word }

// Exec executes a statement.
func (t *T) Exec(client Client, sql string, args ...any) { t.Must(client.Exec(sql, args...)) }

// Value is the only value of a statement.
func (t *T) Value(client Client, sql string, args ...any) any {
	rows, err := client.Rows(sql, args...)
	t.Must(err)
	if len(rows) != 1 || len(rows[0]) != 1 {
		t.Fail("not one value: %v", rows)
	}
	return rows[0][0]
}

// Numbers are those in the column n.
func (t *T) Numbers(client Client, table string) []int64 {
	rows, err := client.Rows("SELECT n FROM " + table + " ORDER BY n")
	t.Must(err)
	numbers := make([]int64, 0, len(rows))
	for _, row := range rows {
		numbers = append(numbers, row[0].(int64))
	}
	return numbers
}

// Walk calls the action on each server connection where clients share them, and gives its results.
func (t *T) Walk(action func() any) map[any]bool {
	found := map[any]bool{}
	if !Shared {
		for range 3 {
			found[action()] = true
		}
		return found
	}
	holders := []Client{}
	for range Connections {
		holders = append(holders, t.Connect(nil))
	}
	for _, holder := range holders {
		t.Exec(holder, "BEGIN")
	}
	for _, holder := range holders {
		t.Exec(holder, "ROLLBACK")
		found[action()] = true
		t.Exec(holder, "BEGIN")
	}
	for _, holder := range holders {
		t.Exec(holder, "ROLLBACK")
	}
	return found
}

// WalkedAll is how many server connections one client has had after a Walk.
func WalkedAll() int {
	if Shared {
		return Connections
	}
	return 1
}

// Range has the numbers from, from+1, ... up to and with to.
func Range(from, to int64) []int64 {
	numbers := []int64{}
	for n := from; n <= to; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// RunCommon is the behaviour as others have it.
func RunCommon(t *T, name string) { common[name](t) }

// Version is that of the module in this program.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, found := range info.Deps {
		if found.Path == module {
			return strings.TrimPrefix(found.Version, "v")
		}
	}
	return "unknown"
}

// As is the error of this type within another one.
func As[E error](err error) (found E, ok bool) {
	ok = errors.As(err, &found)
	return found, ok
}
