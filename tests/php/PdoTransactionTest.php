<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** Transactions, and several statements at once. */
final class PdoTransactionTest extends PdoTestCase
{
    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testCommitKeepsAndRollbackDiscards(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $other = $this->connect($database, $options);
        $table = $this->createTable($pdo, 'n int');
        $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?)");
        $count = "SELECT count(*) FROM {$table}";

        self::assertFalse($pdo->inTransaction());
        self::assertTrue($pdo->beginTransaction());
        self::assertTrue($pdo->inTransaction());
        $insert->execute([1]);
        self::assertSame(1, (int) $this->value($pdo, $count));
        self::assertSame(0, (int) $this->value($other, $count), 'not visible outside yet');
        self::assertTrue($pdo->commit());
        self::assertFalse($pdo->inTransaction());
        self::assertSame(1, (int) $this->value($other, $count));

        $pdo->beginTransaction();
        $insert->execute([2]);
        self::assertTrue($pdo->rollBack());
        self::assertFalse($pdo->inTransaction());
        self::assertSame(1, (int) $this->value($other, $count));
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testAnErrorFailsTheTransaction(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $table = $this->createTable($pdo, 'n int PRIMARY KEY');
        $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?)");
        $pdo->beginTransaction();
        $insert->execute([1]);
        $this->assertFails('23505', 'duplicate key', static fn (): bool => $insert->execute([1]));
        self::assertTrue($pdo->inTransaction());
        $this->assertFails('25P02', 'transaction is aborted', static fn (): bool => $insert->execute([2]));
        $this->assertFails('25P02', 'transaction is aborted', static fn () => $pdo->exec('SELECT 1'));
        self::assertTrue($pdo->rollBack());

        self::assertTrue($insert->execute([3]), 'the statement is still good');
        self::assertSame('{3}', $this->value($pdo, "SELECT array_agg(n)::text FROM {$table}"));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testCommitOfAFailedTransactionKeepsNothing(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int');
        $pdo->beginTransaction();
        $pdo->exec("INSERT INTO {$table} VALUES (1)");
        $this->assertFails('22012', 'division by zero', static fn () => $pdo->exec('SELECT 1/0'));
        $pdo->commit();
        self::assertFalse($pdo->inTransaction());
        self::assertSame(0, (int) $this->value($pdo, "SELECT count(*) FROM {$table}"));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testSavepointsWork(string $database): void
    {
        $pdo = $this->connect($database, [PDO::ATTR_EMULATE_PREPARES => false]);
        $table = $this->createTable($pdo, 'n int');
        $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?)");
        $pdo->beginTransaction();
        $insert->execute([1]);
        $pdo->exec('SAVEPOINT s');
        $insert->execute([2]);
        $this->assertFails('22P02', 'abc', static fn (): bool => $insert->execute(['abc']));
        $pdo->exec('ROLLBACK TO SAVEPOINT s');
        $insert->execute([3]);
        $pdo->commit();
        self::assertSame('{1,3}', $this->value($pdo, "SELECT array_agg(n ORDER BY n)::text FROM {$table}"));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testTransactionsOfManyConnectionsStayApart(string $database): void
    {
        $connections = array_slice($this->connectSeveral($database), 0, self::SHARED);
        $table = $this->createTable($connections[0], 'n int');
        foreach ($connections as $n => $pdo) {
            $pdo->beginTransaction();
            $pdo->exec("INSERT INTO {$table} VALUES ({$n})");
        }
        foreach ($connections as $n => $pdo) {
            self::assertSame("{{$n}}", $this->value($pdo, "SELECT array_agg(n)::text FROM {$table}"));
        }
        foreach ($connections as $n => $pdo) {
            $n === 1 ? $pdo->rollBack() : $pdo->commit();
        }
        $all = "SELECT array_agg(n ORDER BY n)::text FROM {$table}";
        self::assertSame('{0,2}', $this->value($connections[1], $all));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testATransactionEndsWithItsConnection(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int');
        $left = $this->connect($database);
        $left->exec("BEGIN; INSERT INTO {$table} VALUES (1)");
        $left = null;
        // Waits for the lock that the rollback gives back.
        $pdo->exec("LOCK TABLE {$table}; SELECT 1");
        self::assertSame(0, (int) $this->value($pdo, "SELECT count(*) FROM {$table}"));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testSeveralStatementsAreOneTransaction(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int');
        $pdo->exec("INSERT INTO {$table} VALUES (1); INSERT INTO {$table} VALUES (2), (3); DELETE FROM {$table} "
            . 'WHERE n = 1');
        $this->assertFails('22012', 'division by zero', static function () use ($pdo, $table): void {
            $pdo->exec("INSERT INTO {$table} VALUES (4); SELECT 1/0; INSERT INTO {$table} VALUES (5)");
        });
        self::assertFalse($pdo->inTransaction());
        self::assertSame('{2,3}', $this->value($pdo, "SELECT array_agg(n ORDER BY n)::text FROM {$table}"));

        $pdo->exec("BEGIN; INSERT INTO {$table} VALUES (6)");
        self::assertTrue($pdo->inTransaction());
        $pdo->exec("INSERT INTO {$table} VALUES (7); ROLLBACK; INSERT INTO {$table} VALUES (8)");
        self::assertFalse($pdo->inTransaction());
        self::assertSame('{2,3,8}', $this->value($pdo, "SELECT array_agg(n ORDER BY n)::text FROM {$table}"));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testExecCountsRows(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int');
        self::assertSame(3, $pdo->exec("INSERT INTO {$table} VALUES (1), (2), (3)"));
        self::assertSame(2, $pdo->exec("UPDATE {$table} SET n = 0 WHERE n > 1"));
        self::assertSame(0, $pdo->exec("DELETE FROM {$table} WHERE n > 1"));
    }
}
