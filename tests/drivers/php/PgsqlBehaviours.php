<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

/** PHP's pgsql functions through the PostgreSQL door. */
final class PgsqlBehaviours extends Behaviours
{
    protected const DRIVER = 'pgsql';

    protected function libpq(): string
    {
        return pg_version($this->client()->connection)['client'];
    }

    protected function open(array $options = []): PgsqlClient
    {
        $connection = @pg_connect(self::source($options, ' '), PGSQL_CONNECT_FORCE_NEW);
        if ($connection === false) {
            throw new \RuntimeException(error_get_last()['message']);
        }

        return new PgsqlClient($connection);
    }

    private function client(): PgsqlClient
    {
        return $this->connect();
    }

    public function wrongPassword(): void
    {
        try {
            $this->connect(['password' => 'wrong']);
        } catch (\RuntimeException $error) {
            // The functions do not tell the SQLSTATE of a failed login; 28P01 has this text.
            $this->same(str_contains($error->getMessage(), 'password authentication failed for user'), true);

            return;
        }
        throw new \RuntimeException('a wrong password is taken');
    }

    public function types(): void
    {
        parent::types();
        $connection = $this->client()->connection;
        $bytes = implode('', array_map(chr(...), range(0, 255)));
        $result = pg_query_params(
            $connection,
            'SELECT $1::bytea, $2::bool, $3::bool',
            [pg_escape_bytea($connection, $bytes), 't', 'f']
        );
        [$data, $true, $false] = pg_fetch_row($result);
        $this->same([pg_unescape_bytea($data), $true, $false], [$bytes, 't', 'f']);
        $this->same([pg_field_type($result, 0), pg_field_type($result, 1)], ['bytea', 'bool']);
    }

    public function nullAndEmpty(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'null_and_empty', 'n int, t text, b bytea');
        $rows = [['1', null, null], ['2', '', '\x'], ['3', 'x', '\x00']];
        foreach ($rows as $row) {
            $client->rows("INSERT INTO {$table} VALUES (?, ?, ?)", $row);
        }
        $this->same($client->rows("SELECT n, t, b FROM {$table} ORDER BY n"), $rows);
        $where = "SELECT n FROM {$table} WHERE t IS NOT DISTINCT FROM CAST(? AS text)";
        $this->same($this->value($client, $where, [null]), '1');
        $this->same($this->value($client, $where, ['']), '2');
    }

    public function preparedNamed(): void
    {
        $client = $this->client();
        $connection = $client->connection;
        pg_prepare($connection, 'one', 'SELECT $1::int + 1');
        pg_prepare($connection, 'two', 'SELECT $1::text');
        for ($n = 0; $n < 10; $n++) {
            $one = pg_execute($connection, 'one', [$n]);
            $two = pg_execute($connection, 'two', ["tea {$n}"]);
            $this->same([pg_fetch_result($one, 0, 0), pg_fetch_result($two, 0, 0)], [(string) ($n + 1), "tea {$n}"]);
        }
        pg_send_prepare($connection, 'one', 'SELECT 1');
        $this->fails('42P05', $client->received(...));
        $client->rows('DEALLOCATE one');
        pg_send_execute($connection, 'one', [1]);
        $this->fails('26000', $client->received(...));
        pg_send_execute($connection, 'two', ['more']);
        $this->same($client->received(), [['more']]);
    }

    public function preparedReusedAcrossTransactions(): void
    {
        $client = $this->client();
        pg_prepare($client->connection, 'again', 'SELECT pg_backend_pid(), $1::int + 1');
        $pids = $this->walk(function () use ($client): string {
            $client->rows('BEGIN');
            [$pid, $answer] = pg_fetch_row(pg_execute($client->connection, 'again', [41]));
            $client->rows('COMMIT');
            $this->same($answer, '42');

            return $pid;
        });
        $this->same(count(array_unique($pids)), $this->shared ? $this->connections : 1);
    }

    /** Several statements in one text, each with a result of its own. */
    public function pipeline(): void
    {
        $client = $this->client();
        $connection = $client->connection;
        $table = $this->table($client, 'pipeline', 'n int PRIMARY KEY');
        pg_send_query($connection, "INSERT INTO {$table} SELECT generate_series(0, 199); SELECT 'two'; SELECT 3");
        $found = [];
        while ($result = pg_get_result($connection)) {
            $found[] = pg_num_rows($result) > 0 ? pg_fetch_result($result, 0, 0) : pg_affected_rows($result);
        }
        $this->same($found, [200, 'two', '3']);
        $failing = "INSERT INTO {$table} VALUES (200); INSERT INTO {$table} VALUES (7); SELECT 1";
        $this->fails('23505', fn () => $client->rows($failing));
        $this->same($this->numbers($client, $table), range(0, 199));
        $this->same(pg_insert($connection, $table, ['n' => 200]) !== false, true);
        $this->same(pg_select($connection, $table, ['n' => 200]), [['n' => '200']]);
    }

    public function copyIn(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'copy_in', 'n int, t text');
        $lines = array_map(fn (int $n): string => "{$n}\t" . ($n % 7 ? "row {$n}" : '\\N') . "\n", range(0, 4999));
        $this->same(pg_copy_from($client->connection, $table, $lines), true);
        $this->same($this->numbers($client, $table), range(0, 4999));
        $this->same($this->value($client, "SELECT t FROM {$table} WHERE n = 4999"), 'row 4999');
        $this->same($this->value($client, "SELECT count(*) FROM {$table} WHERE t IS NULL"), '715');
        pg_query($client->connection, "COPY {$table} FROM STDIN");
        pg_put_line($client->connection, "1\tone\nx\ttwo\n\\.\n");
        $this->same(@pg_end_copy($client->connection), false);
        // pg_end_copy leaves the error unread, and says nothing about it but the text.
        $this->same(str_contains(pg_last_error($client->connection), 'invalid input syntax for type integer'), true);
        $this->same($this->value($client, "SELECT count(*) FROM {$table}"), '5000');
    }

    public function copyOut(): void
    {
        $client = $this->client();
        $found = pg_copy_to($client->connection, '(SELECT generate_series(1, 5000))');
        $this->same($found, array_map(fn (int $n): string => "{$n}\n", range(1, 5000)));
        $this->same($this->value($client, 'SELECT 1'), '1');
    }

    public function cancel(): void
    {
        $client = $this->client();
        $other = $this->client();
        $marker = $this->word('cancel');
        pg_send_query($client->connection, "SELECT pg_sleep(30) /* {$marker} */");
        while ($this->value($other, self::RUNNING, [$marker]) !== '1') {
            continue;
        }
        // It waits for the end of the statement, and throws the result away.
        $this->same(pg_cancel_query($client->connection), true);
        $this->same($this->value($other, self::RUNNING, [$marker]), '0');
        $this->same($this->value($client, 'SELECT 1'), '1');
        $this->same(str_contains(pg_last_error($client->connection), 'canceling statement'), false);
    }

    public function notice(): void
    {
        $connection = $this->client()->connection;
        pg_query($connection, "DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$");
        $this->same(pg_last_notice($connection), 'NOTICE:  tea is ready');
    }

    public function transactionCommit(): void
    {
        $client = $this->client();
        $other = $this->client();
        $table = $this->table($client, 'commit', 'n int');
        $client->rows('BEGIN');
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $client->rows("INSERT INTO {$table} VALUES (?)", [2]);
        $this->same(pg_transaction_status($client->connection), PGSQL_TRANSACTION_INTRANS);
        $this->same($this->numbers($other, $table), []);
        $client->rows('COMMIT');
        $this->same(pg_transaction_status($client->connection), PGSQL_TRANSACTION_IDLE);
        $this->same($this->numbers($other, $table), [1, 2]);
    }

    public function transactionRollback(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'rollback', 'n int');
        $client->rows('BEGIN');
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $this->same($this->numbers($client, $table), [1]);
        $client->rows('ROLLBACK');
        $this->same($this->numbers($client, $table), []);
    }

    public function largeValue(): void
    {
        $client = $this->client();
        $text = str_repeat("x\u{e9}", intdiv(self::LARGE, 3));
        $this->same($this->value($client, 'SELECT length(?)', [$text]), (string) mb_strlen($text));
        $this->same($this->value($client, 'SELECT CAST(? AS text)', [$text]) === $text, true);
        $data = str_repeat("\0\1'\\\xff\n\r\x80", self::LARGE >> 3);
        $escaped = pg_escape_bytea($client->connection, $data);
        $found = $this->value($client, 'SELECT CAST(? AS bytea)', [$escaped]);
        $this->same(pg_unescape_bytea($found) === $data, true);
        // And as a large object, which lives in a transaction.
        pg_query($client->connection, 'BEGIN');
        $object = pg_lo_create($client->connection);
        $stream = pg_lo_open($client->connection, $object, 'w');
        $this->same(pg_lo_write($stream, $data), strlen($data));
        pg_lo_close($stream);
        $stream = pg_lo_open($client->connection, $object, 'r');
        $this->same(pg_lo_read($stream, strlen($data)) === $data, true);
        pg_lo_close($stream);
        $this->same(pg_lo_unlink($client->connection, $object), true);
        pg_query($client->connection, 'COMMIT');
    }

    public function listenNotify(): void
    {
        $client = $this->client();
        $other = $this->client();
        $channel = $this->word('channel');
        if ($this->mode === 'transaction') {
            $this->fails('0A000', fn () => $client->rows("LISTEN {$channel}"));
            $this->same($this->value($client, 'SELECT 1'), '1');

            return;
        }
        $client->rows("LISTEN {$channel}");
        $other->rows('SELECT pg_notify(?, ?)', [$channel, 'tea']);
        $found = pg_get_notify($client->connection, PGSQL_ASSOC);
        if ($found === false) {
            $sockets = [pg_socket($client->connection)];
            $none = null;
            $this->same(stream_select($sockets, $none, $none, 20), 1);
            pg_consume_input($client->connection);
            $found = pg_get_notify($client->connection, PGSQL_ASSOC);
        }
        $this->same([$found['message'], $found['payload']], [$channel, 'tea']);
    }

    public function lastvalInTransaction(): void
    {
        $client = $this->client();
        $other = $this->client();
        $table = $this->table($client, 'lastval', 'id serial, t text');
        $insert = "INSERT INTO {$table} (t) VALUES (?) RETURNING id";
        for ($turn = 0; $turn < 3; $turn++) {
            $client->rows('BEGIN');
            $mine = (int) $this->value($client, $insert, ['tea']);
            $this->same((int) $this->value($other, $insert, ['milk']), $mine + 1);
            $this->same((int) $this->value($client, 'SELECT lastval()'), $mine);
            $client->rows('COMMIT');
            $this->same($mine, 2 * $turn + 1);
        }
    }
}
