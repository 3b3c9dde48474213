package roadrunner

import (
	"encoding/json"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roadrunner-server/goridge/v3/pkg/frame"
	goridge "github.com/roadrunner-server/goridge/v3/pkg/rpc"
	"github.com/roadrunner-server/goridge/v3/pkg/socket"
	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"

	"rr-pgpool.test/roadrunner/pgpoolpb"
)

// The messages of the plugin that rr-pgpool replaces, as a Go program declares them.
type (
	ExecuteRequest struct {
		Database string
		Query    string
		Args     []interface{}
		Timeout  int
		// An empty one is refused: a lost id must not run a statement outside its transaction.
		TxID   string `json:",omitempty" msgpack:",omitempty"`
		Result string `json:",omitempty" msgpack:",omitempty"`
	}
	ExecuteResponse struct {
		Rows          []map[string]interface{}
		RowsAffected  int64
		Error         string
		ExecutionTime int64
	}
	TransactionBeginRequest struct {
		Database, TxID, IsolationLevel string
		ReadOnly                       bool
	}
	TransactionBeginResponse struct{ TxID, Error string }
	TransactionEndRequest    struct{ TxID string }
	TransactionEndResponse   struct {
		Success bool
		Error   string
	}
	DatabaseRequest struct{ Database string }
	DatabaseStats   struct {
		TotalConnections, IdleConnections, MaxConnections int32
		QueryCount, AverageQueryTimeMs                    int64
		LastHealthCheck, LastError                        string
	}
	PoolStatsResponse struct {
		Stats map[string]DatabaseStats
		Error string
	}
	TopQueriesRequest struct {
		Database, Order string
		Limit           int64
	}
	TopQuery struct {
		Database, Query                    string
		Calls, Errors, Rows                int64
		TotalTimeUs, MeanTimeUs, P99TimeUs int64
	}
	TopQueriesResponse struct {
		Queries []TopQuery
		Error   string
	}
	HealthCheckResponse struct {
		Health map[string]bool
		Errors map[string]string
	}
)

// startPool runs rr-pgpool by itself and returns the path of its socket.
func startPool(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "pgpool.sock")
	config := fmt.Sprintf("version: '3'\npgpool:\n  rpc:\n    listen: unix://%s\n  proxy:\n    address: ''\n"+
		"  shutdown:\n    grace: 0s\n  backends:\n    primary:\n      dsn: %s\n", path, must(t, "TEST_DSN"))
	if err := os.WriteFile(filepath.Join(dir, ".rr.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	command := exec.Command(must(t, "RR_PGPOOL_BINARY"), "serve", "-c", filepath.Join(dir, ".rr.yaml"))
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("rr-pgpool's output:\n%s", log)
		}
	})
	eventually(t, "rr-pgpool listens", func() bool {
		connection, err := net.Dial("unix", path)
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
	return path
}

// client is goridge's own client of RoadRunner's plugins.
func client(t *testing.T, path string) *rpc.Client {
	t.Helper()
	connection, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClientWithCodec(goridge.NewClientCodec(connection))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestGobIsSpokenWithThePluginsOwnTypes(t *testing.T) {
	client := client(t, startPool(t))
	call := func(method string, request, response any) {
		t.Helper()
		if err := client.Call("pgpool."+method, request, response); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	table := "CREATE TABLE IF NOT EXISTS gobs (id int PRIMARY KEY, name text, price numeric, tags text[], ok bool)"
	for _, query := range []string{table, "TRUNCATE gobs"} {
		var response ExecuteResponse
		call("Execute", ExecuteRequest{Query: query}, &response)
		if response.Error != "" {
			t.Fatal(response.Error)
		}
	}
	var begun TransactionBeginResponse
	call("TransactionBegin", TransactionBeginRequest{IsolationLevel: "repeatable_read"}, &begun)
	if begun.Error != "" || begun.TxID == "" {
		t.Fatalf("%+v", begun)
	}
	var inserted ExecuteResponse
	call("Execute", ExecuteRequest{
		TxID:  begun.TxID,
		Query: "INSERT INTO gobs VALUES ($1, $2, $3, $4, $5), ($6, $7, NULL, '{}', NULL)",
		Args:  []interface{}{1, "one", 1.5, []string{"a", "b c"}, true, int64(2), nil},
	}, &inserted)
	if inserted.Error != "" || inserted.RowsAffected != 2 {
		t.Fatalf("%+v", inserted)
	}
	var committed TransactionEndResponse
	call("TransactionCommit", TransactionEndRequest{TxID: begun.TxID}, &committed)
	if !committed.Success || committed.Error != "" {
		t.Fatalf("%+v", committed)
	}

	var selected ExecuteResponse
	call("Execute", ExecuteRequest{Query: "SELECT * FROM gobs ORDER BY id"}, &selected)
	if len(selected.Rows) != 2 {
		t.Fatalf("%+v", selected)
	}
	one, two := selected.Rows[0], selected.Rows[1]
	if one["id"] != int64(1) || one["name"] != "one" || one["price"] != "1.5" || one["ok"] != true {
		t.Errorf("%#v", one)
	}
	if one["tags"] != `{a,"b c"}` || two["name"] != nil || two["ok"] != nil {
		t.Errorf("%#v %#v", one, two)
	}

	var failed ExecuteResponse
	call("Execute", ExecuteRequest{Query: "INSERT INTO gobs (id) VALUES (1)"}, &failed)
	if !strings.Contains(failed.Error, "duplicate key") {
		t.Errorf("%+v", failed)
	}
	err := client.Call("pgpool.Nothing", ExecuteRequest{}, &failed)
	if err == nil || !strings.Contains(err.Error(), "can't find method pgpool.Nothing") {
		t.Errorf("%v", err)
	}

	var stats PoolStatsResponse
	call("PoolStats", DatabaseRequest{Database: "*"}, &stats)
	if primary := stats.Stats["primary"]; primary.QueryCount == 0 || primary.MaxConnections != 25 {
		t.Errorf("%+v", stats)
	}
	var top TopQueriesResponse
	call("TopQueries", TopQueriesRequest{Order: "calls", Limit: 5}, &top)
	if len(top.Queries) == 0 || len(top.Queries) > 5 || top.Queries[0].Calls == 0 || top.Queries[0].Query == "" {
		t.Errorf("%+v", top)
	}
	var health HealthCheckResponse
	call("HealthCheck", DatabaseRequest{}, &health)
	if !health.Health["primary"] || len(health.Errors) != 0 {
		t.Errorf("%+v", health)
	}
}

func text(value string) *pgpoolpb.Value {
	return &pgpoolpb.Value{Kind: &pgpoolpb.Value_Text{Text: value}}
}

func TestProtobufIsSpoken(t *testing.T) {
	client := client(t, startPool(t))
	call := func(method string, request, response proto.Message) {
		t.Helper()
		if err := client.Call("pgpool."+method, request, response); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	var begun pgpoolpb.TransactionBeginResponse
	call("TransactionBegin", &pgpoolpb.TransactionBeginRequest{IsolationLevel: "serializable"}, &begun)
	if begun.TxId == "" || begun.Error != "" {
		t.Fatal(&begun)
	}
	list := &pgpoolpb.List{Items: []*pgpoolpb.Value{text("a"), text("b c")}}
	var selected pgpoolpb.ExecuteResponse
	call("Execute", &pgpoolpb.ExecuteRequest{
		TxId:  &begun.TxId,
		Query: "SELECT $1::int AS n, $2::text[] AS l, $3::bytea AS b, NULL AS z, 1.5::float8 AS f, true AS t",
		Args: []*pgpoolpb.Value{
			{Kind: &pgpoolpb.Value_Int{Int: -7}},
			{Kind: &pgpoolpb.Value_List{List: list}},
			{Kind: &pgpoolpb.Value_Binary{Binary: []byte{0, 255}}},
		},
	}, &selected)
	if len(selected.Rows) != 1 || len(selected.Columns) != 6 || selected.Columns[0].Name != "n" {
		t.Fatal(&selected)
	}
	cells := selected.Rows[0].Cells
	if cells[0].GetInt() != -7 || cells[1].GetText() != `{a,"b c"}` || cells[2].GetText() != `\x00ff` ||
		!cells[3].GetNull() || cells[4].GetFloat() != 1.5 || !cells[5].GetBool() {
		t.Error(cells)
	}
	var ended pgpoolpb.EndResponse
	call("TransactionCommit", &pgpoolpb.EndRequest{TxId: begun.TxId}, &ended)
	if !ended.Success {
		t.Error(&ended)
	}
	call("TransactionCommit", &pgpoolpb.EndRequest{TxId: begun.TxId}, &ended)
	if ended.Sqlstate != "25000" || ended.Success {
		t.Error(&ended)
	}
	var failed pgpoolpb.ExecuteResponse
	empty := ""
	call("Execute", &pgpoolpb.ExecuteRequest{TxId: &empty, Query: "SELECT 1"}, &failed)
	if failed.Sqlstate != "22023" {
		t.Error("an empty id that was given is an error", &failed)
	}

	var batch pgpoolpb.ExecuteBatchResponse
	call("ExecuteBatch", &pgpoolpb.ExecuteBatchRequest{Statements: []*pgpoolpb.BatchStatement{
		{Query: "SELECT 1"}, {Query: "SELECT nothing"},
	}}, &batch)
	if len(batch.Results) != 2 || batch.Results[0].Rows[0].Cells[0].GetInt() != 1 ||
		batch.Results[1].Sqlstate != "42703" || batch.Failed != nil {
		t.Error(&batch)
	}
	var opened pgpoolpb.CursorOpenResponse
	call("CursorOpen", &pgpoolpb.CursorOpenRequest{Query: "SELECT generate_series(1, 3)"}, &opened)
	var fetched pgpoolpb.CursorFetchResponse
	call("CursorFetch", &pgpoolpb.CursorFetchRequest{CursorId: opened.CursorId, Count: 2}, &fetched)
	if len(fetched.Rows) != 2 || fetched.Done {
		t.Error(&fetched)
	}
	call("CursorClose", &pgpoolpb.EndRequest{CursorId: opened.CursorId}, &ended)

	var stats pgpoolpb.PoolStatsResponse
	call("PoolStats", &pgpoolpb.DatabaseRequest{Database: "*"}, &stats)
	if stats.Stats["primary"].GetMaxConnections() != 25 {
		t.Error(&stats)
	}
	var top pgpoolpb.TopQueriesResponse
	call("TopQueries", &pgpoolpb.TopQueriesRequest{Database: "*", Limit: 5}, &top)
	if len(top.Queries) == 0 || len(top.Queries) > 5 || top.Queries[0].Calls == 0 || top.Queries[0].Query == "" {
		t.Error(&top)
	}
	var health pgpoolpb.HealthCheckResponse
	call("HealthCheck", &pgpoolpb.DatabaseRequest{}, &health)
	if !health.Health["primary"] {
		t.Error(&health)
	}
	var version pgpoolpb.VersionResponse
	call("Version", &pgpoolpb.DatabaseRequest{}, &version)
	if version.Version == "" || version.Databases["primary"] == "" {
		t.Error(&version)
	}
}

// exchange sends one frame that goridge's frame package has built, and returns the reply's body.
func exchange(t *testing.T, path, method string, codec byte, body []byte) (byte, []byte) {
	t.Helper()
	connection, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	relay := socket.NewSocketRelay(connection)
	defer relay.Close()
	request := frame.NewFrame()
	request.WriteOptions(request.HeaderPtr(), 7, uint32(len(method)))
	request.WriteVersion(request.Header(), frame.Version1)
	request.WriteFlags(request.Header(), codec)
	payload := append([]byte(method), body...)
	request.WritePayloadLen(request.Header(), uint32(len(payload)))
	request.WritePayload(payload)
	request.WriteCRC(request.Header())
	if err := relay.Send(request); err != nil {
		t.Fatal(err)
	}
	reply := frame.NewFrame()
	if err := relay.Receive(reply); err != nil {
		t.Fatal(err)
	}
	options := reply.ReadOptions(reply.Header())
	if options[0] != 7 {
		t.Fatalf("sequence %d", options[0])
	}
	return reply.ReadFlags(), reply.Payload()[options[1]:]
}

func TestJSONAndMessagePackInGoridgesFrames(t *testing.T) {
	path := startPool(t)
	request := ExecuteRequest{Query: "SELECT $1::int AS n, 'x' AS s", Args: []interface{}{5}}
	codecs := map[byte][2]func(t *testing.T, value any, body []byte) []byte{
		frame.CodecJSON: {
			func(t *testing.T, value any, _ []byte) []byte {
				body, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				return body
			},
			func(t *testing.T, value any, body []byte) []byte {
				if err := json.Unmarshal(body, value); err != nil {
					t.Fatal(err)
				}
				return nil
			},
		},
		// With the names of Go's fields, as this package writes them.
		frame.CodecMsgpack: {
			func(t *testing.T, value any, _ []byte) []byte {
				body, err := msgpack.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				return body
			},
			func(t *testing.T, value any, body []byte) []byte {
				if err := msgpack.Unmarshal(body, value); err != nil {
					t.Fatal(err)
				}
				return nil
			},
		},
	}
	for codec, both := range codecs {
		flags, body := exchange(t, path, "pgpool.Execute", codec, both[0](t, request, nil))
		if flags != codec {
			t.Fatalf("flags %x: %s", flags, body)
		}
		var reply map[string]any
		both[1](t, &reply, body)
		if text := fmt.Sprint(reply["rows"]); text != "[map[n:5 s:x]]" {
			t.Errorf("codec %x: %v", codec, reply)
		}
	}
}

func TestOtherServicesAreReachedThroughThePool(t *testing.T) {
	rr := start(t, unchanged)
	rr.answers()
	client := client(t, strings.TrimPrefix(rr.pgpool, "unix://"))
	var version string
	if err := client.Call("rpc.Version", true, &version); err != nil || version == "" {
		t.Fatalf("version %q, error %v", version, err)
	}
	err := client.Call("kv.Nothing", true, &version)
	if err == nil || !strings.Contains(err.Error(), "kv.Nothing") {
		t.Fatalf("RoadRunner's own error is passed on: %v", err)
	}
}
