<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PDOStatement;
use PHPUnit\Framework\Attributes\DataProvider;

/** Prepared statements of many connections on few server connections. */
final class PdoPrepareTest extends PdoTestCase
{
    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testStatementsOfEqualNamesStayApart(string $database, array $options): void
    {
        $connections = $this->connectSeveral($database, $options);
        // PDO numbers the statements of each connection from 1: all of these have the same name.
        $own = [];
        foreach ($connections as $i => $pdo) {
            $own[] = $pdo->prepare("SELECT {$i} AS own, ?::int AS n, pg_backend_pid() AS pid");
        }
        $pids = $this->runInterleaved($connections, function (int $i, int $n) use ($own): int {
            $row = $this->row($own[$i], [$n]);
            self::assertSame([$i, $n], [(int) $row['own'], (int) $row['n']]);

            return (int) $row['pid'];
        });
        $this->assertShared($database, $pids);
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testEqualStatementsOfAllConnectionsWorkEverywhere(string $database, array $options): void
    {
        $connections = $this->connectSeveral($database, $options);
        $table = $this->createTable($connections[0], 'client int, n int');
        $prepare = static fn (string $sql): array =>
            array_map(static fn (PDO $pdo): PDOStatement => $pdo->prepare($sql), $connections);
        $insert = $prepare("INSERT INTO {$table} VALUES (:client, :n) RETURNING pg_backend_pid() AS pid");
        $sum = $prepare("SELECT coalesce(sum(n), 0) AS sum FROM {$table} WHERE client = :client");
        $pids = $this->runInterleaved($connections, function (int $i, int $n) use ($insert, $sum): int {
            $row = $this->row($insert[$i], ['client' => $i, 'n' => $n]);
            $all = $this->row($sum[$i], ['client' => $i]);
            self::assertSame($n * ($n + 1) / 2, (int) $all['sum']);

            return (int) $row['pid'];
        });
        $this->assertShared($database, $pids);
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testManyStatementsComeAndGo(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        for ($i = 0; $i < 150; $i++) {
            // More texts than a server connection keeps; each is deallocated by PDO when it goes.
            $statement = $pdo->prepare("SELECT ?::int + {$i}");
            $statement->execute([1000]);
            self::assertSame(1000 + $i, (int) $statement->fetchColumn());
            $statement = null;
        }
        $pdo->beginTransaction();
        $count = 'SELECT count(*) FROM pg_prepared_statements WHERE name LIKE ?';
        self::assertLessThanOrEqual(1, (int) $this->value($pdo, $count, ['pdo_stmt%']));
        $pdo->commit();
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testStatementsSurviveErrors(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $divide = $pdo->prepare('SELECT 6 / (2 - ?::int)');
        $this->assertFails('22012', 'division by zero', static fn (): bool => $divide->execute([2]));
        self::assertTrue($divide->execute([0]));
        self::assertSame(3, (int) $divide->fetchColumn());
        $this->assertFails('22P02', 'abc', static fn (): bool => $divide->execute(['abc']));
        self::assertTrue($divide->execute([1]));
        self::assertSame(6, (int) $divide->fetchColumn());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testStatementsWithoutANameFollowChangesOfATable(string $database): void
    {
        $unnamed = [PDO::ATTR_EMULATE_PREPARES => false, PDO::PGSQL_ATTR_DISABLE_PREPARES => true];
        $connections = array_slice($this->connectSeveral($database, $unnamed), 0, self::SHARED);
        $table = $this->createTable($connections[0], 'n int');
        $connections[0]->exec("INSERT INTO {$table} VALUES (2)");
        $run = function (string $expected) use ($connections, $table): void {
            // Open at the same time: each has a server connection of its own.
            foreach ($connections as $pdo) {
                $pdo->beginTransaction();
                // Again and again: what comes often may be kept prepared.
                for ($n = 0; $n < 3; $n++) {
                    $found = $this->value($pdo, "SELECT n + ?::int FROM {$table}", [1]);
                    self::assertSame($expected, (string) $found);
                }
            }
            foreach ($connections as $pdo) {
                $pdo->commit();
            }
        };
        $run('3');
        $connections[0]->exec("ALTER TABLE {$table} ALTER COLUMN n TYPE numeric(4, 1)");
        $run('3.0');
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testAStatementThatIsNoneFailsByItsPlace(string $database): void
    {
        $pdo = $this->connect($database, [PDO::ATTR_EMULATE_PREPARES => false]);
        $broken = $pdo->prepare('SELEC ?');
        $this->assertFails('42601', 'SELEC', static fn (): bool => $broken->execute([1]));
        $this->assertFails('42601', 'SELEC', static fn (): bool => $broken->execute([1]));
        self::assertSame('7', (string) $this->value($pdo, 'SELECT ?::int', [7]));
    }

    /**
     * Calls `$work` with each connection's index and the round in turn. Two connections are in a
     * transaction at any time, and keep a server connection from the others.
     *
     * @param list<PDO> $connections
     * @param callable(int, int): int $work returns the server process that it ran on
     * @return list<int> the server processes
     */
    private function runInterleaved(array $connections, callable $work): array
    {
        $pids = [];
        $count = count($connections);
        for ($round = 1; $round <= $count; $round++) {
            $inTransaction = [$connections[$round - 1], $connections[$round % $count]];
            foreach ($inTransaction as $pdo) {
                $pdo->beginTransaction();
            }
            foreach (array_keys($connections) as $i) {
                $pids[] = $work($i, $round);
            }
            foreach ($inTransaction as $pdo) {
                $pdo->commit();
            }
        }

        return array_values(array_unique($pids));
    }

    /** @param list<int> $pids the server processes of all connections */
    private function assertShared(string $database, array $pids): void
    {
        $expected = $database === self::SESSION ? 2 * self::SHARED : self::SHARED;
        self::assertCount($expected, $pids);
    }

    /**
     * @param array<int|string, mixed> $args
     * @return array<string, mixed> the only row
     */
    private function row(PDOStatement $statement, array $args): array
    {
        $statement->execute($args);
        $rows = $statement->fetchAll(PDO::FETCH_ASSOC);
        self::assertCount(1, $rows);

        return $rows[0];
    }
}
