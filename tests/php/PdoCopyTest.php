<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** COPY in both directions. */
final class PdoCopyTest extends PdoTestCase
{
    private const ROWS = ["1\tone\n", "2\t\\N\n", "3\ta\\tb\n"];

    private string $file;

    protected function setUp(): void
    {
        $this->file = (string) tempnam(sys_get_temp_dir(), 'pdo');
    }

    protected function tearDown(): void
    {
        unlink($this->file);
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testArraysGoInAndOut(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int, t text');
        self::assertTrue($pdo->pgsqlCopyFromArray($table, self::ROWS));
        self::assertSame("a\tb", $this->value($pdo, "SELECT t FROM {$table} WHERE n = 3"));
        self::assertNull($this->value($pdo, "SELECT t FROM {$table} WHERE n = 2"));
        self::assertSame(self::ROWS, $pdo->pgsqlCopyToArray($table));
        self::assertSame(["one;1\n", "?;2\n", "a\\tb;3\n"], $pdo->pgsqlCopyToArray($table, ';', '?', 't, n'));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testFilesGoInAndOut(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int, t text');
        file_put_contents($this->file, implode('', self::ROWS));
        self::assertTrue($pdo->pgsqlCopyFromFile($table, $this->file));
        self::assertSame(3, (int) $this->value($pdo, "SELECT count(*) FROM {$table}"));
        self::assertTrue($pdo->pgsqlCopyToFile($table, $this->file, ',', 'none'));
        self::assertSame("1,one\n2,none\n3,a\\tb\n", file_get_contents($this->file));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testManyRowsGoInAndOut(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int, t text');
        $rows = array_map(static fn (int $n): string => $n . "\t" . str_repeat('x', $n % 50) . "\n", range(1, 50_000));
        self::assertTrue($pdo->pgsqlCopyFromArray($table, $rows));
        self::assertSame(array_sum(range(1, 50_000)), (int) $this->value($pdo, "SELECT sum(n) FROM {$table}"));
        self::assertTrue($rows === $pdo->pgsqlCopyToArray($table), 'other rows came back');
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testAWrongRowIsAnErrorAndNothingElse(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'n int, t text');
        $copy = static fn (): bool => $pdo->pgsqlCopyFromArray($table, ["1\tone\n", "two\ttwo\n"]);
        $this->assertFails('22P02', 'two', $copy);
        self::assertSame(0, (int) $this->value($pdo, "SELECT count(*) FROM {$table}"));
        $this->assertFails('42P01', 'nowhere', static fn (): bool => $pdo->pgsqlCopyFromArray('nowhere', ["1\n"]));
        $this->assertFails('42P01', 'nowhere', static fn (): array => $pdo->pgsqlCopyToArray('nowhere'));
        self::assertSame('1', (string) $this->value($pdo, 'SELECT 1'));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testACopyBelongsToItsTransaction(string $database): void
    {
        $pdo = $this->connect($database, [PDO::ATTR_EMULATE_PREPARES => false]);
        $table = $this->createTable($pdo, 'n int, t text');
        $pdo->beginTransaction();
        self::assertTrue($pdo->pgsqlCopyFromArray($table, self::ROWS));
        self::assertTrue($pdo->inTransaction());
        self::assertSame(self::ROWS, $pdo->pgsqlCopyToArray($table));
        $pdo->rollBack();
        self::assertSame([], $pdo->pgsqlCopyToArray($table));

        $pdo->beginTransaction();
        $copy = static fn (): bool => $pdo->pgsqlCopyFromArray($table, ["x\ty\n"]);
        $this->assertFails('22P02', 'x', $copy);
        $this->assertFails('25P02', 'aborted', $copy);
        $pdo->rollBack();
        self::assertTrue($pdo->pgsqlCopyFromArray($table, self::ROWS));
    }
}
