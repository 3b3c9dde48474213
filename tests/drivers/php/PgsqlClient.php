<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

use PgSql\Connection;
use PgSql\Result;

/** A connection of the pgsql functions. */
final class PgsqlClient implements Client
{
    public function __construct(public readonly Connection $connection)
    {
    }

    /** By the asynchronous functions, since the others do not tell the SQLSTATE. */
    public function rows(string $sql, array $args = []): array
    {
        $count = 0;
        $numbered = preg_replace_callback('/\?/', function () use (&$count): string {
            return '$' . ++$count;
        }, $sql);
        $sent = $args === []
            ? pg_send_query($this->connection, $sql)
            : pg_send_query_params($this->connection, $numbered, $args);
        if ($sent !== true) {
            throw new \RuntimeException(pg_last_error($this->connection));
        }

        return $this->received();
    }

    /**
     * The rows of the last statement that was sent; all results are read.
     *
     * @return list<list<?string>>
     */
    public function received(): array
    {
        $rows = [];
        $error = null;
        while ($result = pg_get_result($this->connection)) {
            $error ??= $this->error($result);
            $rows = pg_fetch_all($result, PGSQL_NUM);
        }
        if ($error !== null) {
            throw $error;
        }

        return $rows;
    }

    public function error(Result $result): ?SqlError
    {
        $sqlstate = pg_result_error_field($result, PGSQL_DIAG_SQLSTATE);

        return is_string($sqlstate) ? new SqlError($sqlstate, pg_result_error($result)) : null;
    }

    public function close(): void
    {
        pg_close($this->connection);
    }
}
