//! What the replies are made of in Go, for codecs that have to know: the plugin's own types, and
//! what we answer beyond them.

use goridge_framing::codec::shape::{Field, Shape, StructShape};

const fn field(name: &'static str, go_name: &'static str, shape: Shape) -> Field {
    Field { name, go_name, shape }
}

const ERROR: Field = field("error", "Error", Shape::Text);
const SQLSTATE: Field = field("sqlstate", "SQLState", Shape::Text);
const ERROR_DETAIL: Field = field("error_detail", "ErrorDetail", Shape::Struct(&DETAIL));
const REQUEST_ID: Field = field("request_id", "RequestID", Shape::Text);
const ROWS: Field = field("rows", "Rows", Shape::Rows);
const COLUMNS: Field = field("columns", "Columns", Shape::List(&A_COLUMN));
const ROWS_AFFECTED: Field = field("rows_affected", "RowsAffected", Shape::Int);
const EXECUTION_TIME: Field = field("execution_time", "ExecutionTime", Shape::Int);
const EXECUTION_TIME_US: Field = field("execution_time_us", "ExecutionTimeUs", Shape::Int);
const SUCCESS: Field = field("success", "Success", Shape::Bool);

static A_COLUMN: Shape = Shape::Struct(&COLUMN);
static A_RESULT: Shape = Shape::Struct(&EXECUTE);
static A_DATABASE: Shape = Shape::Struct(&DATABASE_STATS);

static DETAIL: StructShape = StructShape {
    name: "ErrorDetail",
    fields: &[
        field("severity", "Severity", Shape::Text),
        field("message", "Message", Shape::Text),
        field("detail", "Detail", Shape::Text),
        field("hint", "Hint", Shape::Text),
        field("position", "Position", Shape::Int),
        field("schema", "Schema", Shape::Text),
        field("table", "Table", Shape::Text),
        field("column", "Column", Shape::Text),
        field("constraint", "Constraint", Shape::Text),
    ],
};

static COLUMN: StructShape = StructShape {
    name: "Column",
    fields: &[
        field("name", "Name", Shape::Text),
        field("type", "Type", Shape::Text),
        field("oid", "OID", Shape::Int),
    ],
};

static EXECUTE: StructShape = StructShape {
    name: "ExecuteResponse",
    fields: &[
        ROWS,
        ROWS_AFFECTED,
        ERROR,
        EXECUTION_TIME,
        EXECUTION_TIME_US,
        COLUMNS,
        SQLSTATE,
        ERROR_DETAIL,
        field("cache", "Cache", Shape::Text),
        REQUEST_ID,
    ],
};

static EXECUTE_BATCH: StructShape = StructShape {
    name: "ExecuteBatchResponse",
    fields: &[
        field("results", "Results", Shape::List(&A_RESULT)),
        field("failed", "Failed", Shape::Int),
        ERROR,
        SQLSTATE,
        ERROR_DETAIL,
        EXECUTION_TIME,
        EXECUTION_TIME_US,
        REQUEST_ID,
    ],
};

static CURSOR_OPEN: StructShape = StructShape {
    name: "CursorOpenResponse",
    fields: &[
        field("cursor_id", "CursorID", Shape::Text),
        COLUMNS,
        ERROR,
        SQLSTATE,
        ERROR_DETAIL,
        REQUEST_ID,
    ],
};

static CURSOR_FETCH: StructShape = StructShape {
    name: "CursorFetchResponse",
    fields: &[
        ROWS,
        field("done", "Done", Shape::Bool),
        ERROR,
        SQLSTATE,
        ERROR_DETAIL,
        EXECUTION_TIME,
        EXECUTION_TIME_US,
        REQUEST_ID,
    ],
};

static TRANSACTION_BEGIN: StructShape = StructShape {
    name: "TransactionBeginResponse",
    fields: &[field("tx_id", "TxID", Shape::Text), ERROR, SQLSTATE, REQUEST_ID],
};

static SESSION_BEGIN: StructShape = StructShape {
    name: "SessionBeginResponse",
    fields: &[field("session_id", "SessionID", Shape::Text), ERROR, SQLSTATE, REQUEST_ID],
};

/// Of all that only succeeds or fails.
static END: StructShape =
    StructShape { name: "EndResponse", fields: &[SUCCESS, ERROR, SQLSTATE, REQUEST_ID] };

static DATABASE_STATS: StructShape = StructShape {
    name: "DatabaseStats",
    fields: &[
        field("total_connections", "TotalConnections", Shape::Int),
        field("idle_connections", "IdleConnections", Shape::Int),
        field("active_connections", "ActiveConnections", Shape::Int),
        field("constructing_connections", "ConstructingConnections", Shape::Int),
        field("max_connections", "MaxConnections", Shape::Int),
        field("waiting_clients", "WaitingClients", Shape::Int),
        field("transactions_open", "TransactionsOpen", Shape::Int),
        field("sessions_open", "SessionsOpen", Shape::Int),
        field("pinned_clients", "PinnedClients", Shape::Int),
        field("pins", "Pins", Shape::Map(&Shape::Int)),
        field("breaker", "Breaker", Shape::Text),
        field("cache_hits", "CacheHits", Shape::Int),
        field("cache_misses", "CacheMisses", Shape::Int),
        field("total_acquired", "TotalAcquired", Shape::Int),
        field("total_released", "TotalReleased", Shape::Int),
        field("acquire_count", "AcquireCount", Shape::Int),
        field("canceled_acquire_count", "CanceledAcquireCount", Shape::Int),
        field("acquire_duration_us", "AcquireDurationUs", Shape::Int),
        field("average_acquire_time_ms", "AverageAcquireTimeMs", Shape::Int),
        field("query_count", "QueryCount", Shape::Int),
        field("query_duration_us", "QueryDurationUs", Shape::Int),
        field("average_query_time_ms", "AverageQueryTimeMs", Shape::Int),
        field("error_count", "ErrorCount", Shape::Int),
        field("slow_query_count", "SlowQueryCount", Shape::Int),
        field("health_checks_passed", "HealthChecksPassed", Shape::Int),
        field("health_checks_failed", "HealthChecksFailed", Shape::Int),
        field("last_health_check", "LastHealthCheck", Shape::Text),
        field("last_error", "LastError", Shape::Text),
    ],
};

static POOL_STATS: StructShape = StructShape {
    name: "PoolStatsResponse",
    fields: &[field("stats", "Stats", Shape::Map(&A_DATABASE)), ERROR, SQLSTATE, REQUEST_ID],
};

static A_QUERY: Shape = Shape::Struct(&TOP_QUERY);

static TOP_QUERY: StructShape = StructShape {
    name: "TopQuery",
    fields: &[
        field("database", "Database", Shape::Text),
        field("query", "Query", Shape::Text),
        field("calls", "Calls", Shape::Int),
        field("errors", "Errors", Shape::Int),
        field("rows", "Rows", Shape::Int),
        field("total_time_us", "TotalTimeUs", Shape::Int),
        field("mean_time_us", "MeanTimeUs", Shape::Int),
        field("p99_time_us", "P99TimeUs", Shape::Int),
    ],
};

static TOP_QUERIES: StructShape = StructShape {
    name: "TopQueriesResponse",
    fields: &[field("queries", "Queries", Shape::List(&A_QUERY)), ERROR, SQLSTATE, REQUEST_ID],
};

static HEALTH_CHECK: StructShape = StructShape {
    name: "HealthCheckResponse",
    fields: &[
        field("health", "Health", Shape::Map(&Shape::Bool)),
        field("errors", "Errors", Shape::Map(&Shape::Text)),
        ERROR,
        SQLSTATE,
        REQUEST_ID,
    ],
};

static VERSION: StructShape = StructShape {
    name: "VersionResponse",
    fields: &[
        field("version", "Version", Shape::Text),
        field("features", "Features", Shape::List(&Shape::Text)),
        field("databases", "Databases", Shape::Map(&Shape::Text)),
        REQUEST_ID,
    ],
};

/// The reply of a method, named without its service.
pub(super) fn reply(method: &str) -> &'static StructShape {
    match method {
        "Execute" => &EXECUTE,
        "ExecuteBatch" => &EXECUTE_BATCH,
        "CursorOpen" => &CURSOR_OPEN,
        "CursorFetch" => &CURSOR_FETCH,
        "TransactionBegin" | "BeginTransaction" => &TRANSACTION_BEGIN,
        "SessionBegin" => &SESSION_BEGIN,
        "PoolStats" => &POOL_STATS,
        "TopQueries" => &TOP_QUERIES,
        "HealthCheck" => &HEALTH_CHECK,
        "Version" => &VERSION,
        _ => &END,
    }
}
