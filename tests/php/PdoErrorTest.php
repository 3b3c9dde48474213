<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** What PDO makes of errors. */
final class PdoErrorTest extends PdoTestCase
{
    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testConstraintsAreNamed(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $table = $this->createTable($pdo, 'id int PRIMARY KEY, parent int');
        $pdo->exec(
            "ALTER TABLE {$table} ADD CONSTRAINT {$table}_fk FOREIGN KEY (parent) REFERENCES {$table}, "
            . "ADD CONSTRAINT {$table}_positive CHECK (id > 0)"
        );
        $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?, ?)");
        $insert->execute([1, null]);
        foreach (
            [
                [[1, null], '23505', "\"{$table}_pkey\"", 'Key (id)=(1) already exists.'],
                [[2, 7], '23503', "\"{$table}_fk\"", 'Key (parent)=(7) is not present'],
                [[-1, null], '23514', "\"{$table}_positive\"", 'Failing row contains (-1, null).'],
                [[null, null], '23502', 'null value in column "id"', 'Failing row contains (null, null).'],
            ] as [$row, $sqlstate, $text, $detail]
        ) {
            $error = $this->assertFails($sqlstate, $text, static fn (): bool => $insert->execute($row));
            self::assertStringContainsString($detail, $error->getMessage());
            self::assertSame($sqlstate, $insert->errorCode());
            self::assertSame($sqlstate, $insert->errorInfo()[0]);
            self::assertSame(7, $insert->errorInfo()[1]);
        }
        self::assertSame('{1}', $this->value($pdo, "SELECT array_agg(id)::text FROM {$table}"));
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testStatementsAreJudged(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        foreach (
            [
                ['SELECT * FROM nowhere', [], '42P01', 'relation "nowhere" does not exist'],
                ['SELECT nothing', [], '42703', 'column "nothing" does not exist'],
                ['SELECT ?::int', ['x'], '22P02', 'invalid input syntax for type integer: "x"'],
                ['SELECT FROM WHERE', [], '42601', 'syntax error at or near "WHERE"'],
                ['SELECT nobody(?::int)', [1], '42883', 'function nobody(integer) does not exist'],
            ] as [$sql, $args, $sqlstate, $text]
        ) {
            $run = fn () => $this->value($pdo, $sql, $args);
            $error = $this->assertFails($sqlstate, $text, $run);
            self::assertSame($sqlstate, $error->getCode());
            // The place in the text, as libpq shows it, is that in the text of the client.
            self::assertSame($args === [], str_contains($error->getMessage(), "LINE 1: {$sql}"));
        }
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testErrorsCanBeSilent(string $database): void
    {
        $pdo = $this->connect($database, [PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT]);
        self::assertFalse($pdo->exec('SELECT 1/0'));
        self::assertSame(['22012', 7, 'ERROR:  division by zero'], $pdo->errorInfo());
        self::assertFalse($pdo->query('SELECT * FROM nowhere'));
        self::assertSame('42P01', $pdo->errorCode());
        self::assertSame('1', (string) $pdo->query('SELECT 1')->fetchColumn());
        self::assertSame('00000', $pdo->errorCode());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testARaisedErrorIsTheOneRaised(string $database): void
    {
        $pdo = $this->connect($database);
        $raise = "DO \$\$ BEGIN RAISE EXCEPTION 'no tea' USING ERRCODE = 'T0001', HINT = 'Boil water.'; END \$\$";
        $error = $this->assertFails('T0001', 'no tea', static fn () => $pdo->exec($raise));
        self::assertStringContainsString('Boil water.', $error->getMessage());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testATimeLimitOfTheClientsOwnHolds(string $database): void
    {
        $pdo = $this->connect($database);
        $pdo->exec("SET statement_timeout = '50ms'");
        $this->assertFails('57014', 'statement timeout', static fn () => $pdo->exec('SELECT pg_sleep(20)'));
        $pdo->exec('SET statement_timeout = 0');
        self::assertSame('', $this->value($pdo, 'SELECT pg_sleep(0.1)::text'));
    }
}
