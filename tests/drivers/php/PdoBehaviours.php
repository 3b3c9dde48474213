<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

use PDO;

/** PDO's pgsql driver through the PostgreSQL door. */
final class PdoBehaviours extends Behaviours
{
    protected const DRIVER = 'pdo';

    protected function libpq(): string
    {
        return (string) $this->pdo()->getAttribute(PDO::ATTR_CLIENT_VERSION);
    }

    protected function open(array $options = [], array $attributes = []): PdoClient
    {
        $source = 'pgsql:' . self::source($options, ';');
        $client = new PdoClient(null);
        $client->pdo = $client->told(fn (): PDO => new PDO($source, null, null, $attributes));

        return $client;
    }

    /** @param array<int, mixed> $attributes */
    private function pdo(array $attributes = []): PDO
    {
        return $this->client($attributes)->pdo;
    }

    /** @param array<int, mixed> $attributes */
    private function client(array $attributes = []): PdoClient
    {
        $client = $this->connect();
        foreach ($attributes as $name => $value) {
            $client->pdo->setAttribute($name, $value);
        }

        return $client;
    }

    public function wrongPassword(): void
    {
        try {
            $this->connect(['password' => 'wrong']);
        } catch (SqlError $error) {
            // PDO does not tell the SQLSTATE of a failed login; 28P01 has this text.
            $this->same(str_contains($error->getMessage(), 'password authentication failed for user'), true);

            return;
        }
        throw new \RuntimeException('a wrong password is taken');
    }

    public function types(): void
    {
        parent::types();
        foreach ([true, false] as $emulated) {
            $pdo = $this->pdo([PDO::ATTR_EMULATE_PREPARES => $emulated]);
            $statement = $pdo->prepare('SELECT CAST(:i AS int) AS i, CAST(:b AS bool) AS b, CAST(:d AS bytea) AS d');
            $bytes = implode('', array_map(chr(...), range(0, 255)));
            $statement->bindValue('i', 2147483647, PDO::PARAM_INT);
            $statement->bindValue('b', false, PDO::PARAM_BOOL);
            $statement->bindValue('d', $bytes, PDO::PARAM_LOB);
            $statement->execute();
            ['i' => $integer, 'b' => $boolean, 'd' => $data] = $statement->fetch(PDO::FETCH_ASSOC);
            $this->same([$integer, $boolean, stream_get_contents($data)], [2147483647, false, $bytes]);
        }
    }

    public function nullAndEmpty(): void
    {
        foreach ([true, false] as $emulated) {
            $client = $this->client([PDO::ATTR_EMULATE_PREPARES => $emulated]);
            $table = $this->table($client, 'null_and_empty', 'n int, t text, b bytea');
            $insert = $client->pdo->prepare("INSERT INTO {$table} VALUES (?, ?, ?)");
            $rows = [['1', null, null], ['2', '', ''], ['3', 'x', "\0"]];
            foreach ($rows as [$number, $text, $data]) {
                $insert->bindValue(1, $number);
                $insert->bindValue(2, $text);
                $insert->bindValue(3, $data, $data === null ? PDO::PARAM_NULL : PDO::PARAM_LOB);
                $insert->execute();
            }
            $this->same($client->rows("SELECT n, t, b FROM {$table} ORDER BY n"), $rows);
            $where = "SELECT n FROM {$table} WHERE t IS NOT DISTINCT FROM CAST(? AS text)";
            $this->same($this->value($client, $where, [null]), '1');
            $this->same($this->value($client, $where, ['']), '2');
        }
    }

    public function unnamedParameters(): void
    {
        parent::unnamedParameters();
        foreach ([PDO::ATTR_EMULATE_PREPARES, PDO::PGSQL_ATTR_DISABLE_PREPARES] as $way) {
            $client = $this->client([$way => true]);
            for ($n = 0; $n < 20; $n++) {
                $this->same($this->value($client, 'SELECT CAST(? AS int) + 1', [$n]), (string) ($n + 1));
            }
        }
    }

    public function preparedNamed(): void
    {
        $pdo = $this->pdo();
        $one = $pdo->prepare('SELECT CAST(? AS int) + 1');
        $two = $pdo->prepare('SELECT CAST(:text AS text)');
        for ($n = 0; $n < 10; $n++) {
            $one->execute([$n]);
            $two->execute(['text' => "tea {$n}"]);
            $this->same([$one->fetchColumn(), $two->fetchColumn()], [$n + 1, "tea {$n}"]);
        }
        // It is dropped at the server with the object.
        $one = null;
        $three = $pdo->prepare('SELECT CAST(? AS int) + 3');
        $three->execute([4]);
        $two->execute(['text' => 'more']);
        $this->same([$three->fetchColumn(), $two->fetchColumn()], [7, 'more']);
    }

    public function preparedReusedAcrossTransactions(): void
    {
        $pdo = $this->pdo();
        $statement = $pdo->prepare('SELECT pg_backend_pid(), CAST(? AS int) + 1');
        $pids = $this->walk(function () use ($pdo, $statement): int {
            $pdo->beginTransaction();
            $statement->execute([41]);
            [$pid, $answer] = $statement->fetch(PDO::FETCH_NUM);
            $pdo->commit();
            $this->same($answer, 42);

            return $pid;
        });
        $this->same(count(array_unique($pids)), $this->shared ? $this->connections : 1);
    }

    /** It has no batches: several statements in one text are what it can send at once. */
    public function pipeline(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'pipeline', 'n int PRIMARY KEY');
        $inserts = array_map(fn (int $n): string => "INSERT INTO {$table} VALUES ({$n})", range(0, 199));
        $client->pdo->exec(implode('; ', $inserts));
        $failing = "INSERT INTO {$table} VALUES (200); INSERT INTO {$table} VALUES (7)";
        $this->fails('23505', fn () => $client->told(fn () => $client->pdo->exec($failing)));
        $this->same($this->numbers($client, $table), range(0, 199));
    }

    public function copyIn(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'copy_in', 'n int, t text');
        $lines = array_map(fn (int $n): string => "{$n}\t" . ($n % 7 ? "row {$n}" : '\\N'), range(0, 4999));
        $this->same($client->pdo->pgsqlCopyFromArray($table, $lines), true);
        $this->same($this->numbers($client, $table), range(0, 4999));
        $this->same($this->value($client, "SELECT t FROM {$table} WHERE n = 4999"), 'row 4999');
        $this->same($this->value($client, "SELECT count(*) FROM {$table} WHERE t IS NULL"), '715');
        $wrong = ["1\tone", "x\ttwo"];
        $this->fails('22P02', fn () => $client->told(fn () => $client->pdo->pgsqlCopyFromArray($table, $wrong)));
        $this->same($this->value($client, "SELECT count(*) FROM {$table}"), '5000');
    }

    public function copyOut(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'copy_out', 'n int');
        $client->rows("INSERT INTO {$table} SELECT generate_series(1, 5000)");
        $expected = array_map(fn (int $n): string => "{$n}\n", range(1, 5000));
        $this->same($client->pdo->pgsqlCopyToArray($table), $expected);
        $this->same($this->value($client, 'SELECT 1'), '1');
    }

    public function cancel(): void
    {
        throw new Skip('PDO has no call for it');
    }

    public function notice(): void
    {
        if (!class_exists('Pdo\Pgsql')) {
            throw new Skip('PDO has a call for it from PHP 8.4 on');
        }
        $pdo = call_user_func(['Pdo\Pgsql', 'connect'], 'pgsql:' . self::source([], ';'));
        $found = [];
        $pdo->setNoticeCallback(function (string $text) use (&$found): void {
            $found[] = trim($text);
        });
        $pdo->exec("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$");
        $this->same($found, ['NOTICE:  tea is ready']);
    }

    public function transactionCommit(): void
    {
        $client = $this->client();
        $other = $this->client();
        $table = $this->table($client, 'commit', 'n int');
        $client->pdo->beginTransaction();
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $client->rows("INSERT INTO {$table} VALUES (?)", [2]);
        $this->same($client->pdo->inTransaction(), true);
        $this->same($this->numbers($other, $table), []);
        $client->pdo->commit();
        $this->same($client->pdo->inTransaction(), false);
        $this->same($this->numbers($other, $table), [1, 2]);
    }

    public function transactionRollback(): void
    {
        $client = $this->client();
        $table = $this->table($client, 'rollback', 'n int');
        $client->pdo->beginTransaction();
        $client->rows("INSERT INTO {$table} VALUES (?)", [1]);
        $this->same($this->numbers($client, $table), [1]);
        $client->pdo->rollBack();
        $this->same($this->numbers($client, $table), []);
    }

    public function largeValue(): void
    {
        $text = str_repeat("x\u{e9}", intdiv(self::LARGE, 3));
        $data = str_repeat("\0\1'\\\xff\n\r\x80", self::LARGE >> 3);
        foreach ([true, false] as $emulated) {
            $client = $this->client([PDO::ATTR_EMULATE_PREPARES => $emulated]);
            $length = (string) mb_strlen($text);
            $this->same($this->value($client, 'SELECT length(CAST(? AS text))', [$text]), $length);
            $this->same($this->value($client, 'SELECT CAST(? AS text)', [$text]) === $text, true);
            $statement = $client->pdo->prepare('SELECT length(d), d FROM (SELECT CAST(? AS bytea) AS d) AS given');
            $statement->bindValue(1, $data, PDO::PARAM_LOB);
            $statement->execute();
            [$length, $found] = $statement->fetch(PDO::FETCH_NUM);
            $this->same([$length, stream_get_contents($found) === $data], [strlen($data), true]);
        }
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
        $found = $client->pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 20000);
        $this->same([$found['message'], $found['payload']], [$channel, 'tea']);
    }

    public function lastvalInTransaction(): void
    {
        $client = $this->client();
        $other = $this->client();
        $table = $this->table($client, 'lastval', 'id serial, t text');
        for ($turn = 0; $turn < 3; $turn++) {
            $client->pdo->beginTransaction();
            $client->rows("INSERT INTO {$table} (t) VALUES (?)", ['tea']);
            $other->rows("INSERT INTO {$table} (t) VALUES (?)", ['milk']);
            $this->same($client->pdo->lastInsertId(), (string) (2 * $turn + 1));
            $this->same($client->pdo->lastInsertId("{$table}_id_seq"), (string) (2 * $turn + 1));
            $client->pdo->commit();
        }
    }
}
