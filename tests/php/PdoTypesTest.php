<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** Parameters and results of each of PDO's types. */
final class PdoTypesTest extends PdoTestCase
{
    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testParametersArriveAsWhatTheyAre(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $statement = $pdo->prepare(
            'SELECT ?::bigint AS i, ?::boolean AS t, ?::boolean AS f, ?::text AS s, ?::text AS n, '
            . '?::float8 AS d, ?::jsonb AS j, ?::int[] AS a, ?::timestamptz AS z'
        );
        $statement->bindValue(1, PHP_INT_MAX, PDO::PARAM_INT);
        $statement->bindValue(2, true, PDO::PARAM_BOOL);
        $statement->bindValue(3, false, PDO::PARAM_BOOL);
        $statement->bindValue(4, "O'Brien \\ \"é\" ?", PDO::PARAM_STR);
        $statement->bindValue(5, null, PDO::PARAM_NULL);
        $statement->bindValue(6, '-1.5e-7');
        $statement->bindValue(7, '{"a": [1, null]}');
        $statement->bindValue(8, '{1,NULL,3}');
        $statement->bindValue(9, '2024-01-02 03:04:05+00');
        $pdo->exec("SET TimeZone = 'UTC'");
        $statement->execute();
        self::assertSame([
            'i' => PHP_INT_MAX,
            't' => true,
            'f' => false,
            's' => "O'Brien \\ \"é\" ?",
            'n' => null,
            'd' => '-1.5e-07',
            'j' => '{"a": [1, null]}',
            'a' => '{1,NULL,3}',
            'z' => '2024-01-02 03:04:05+00',
        ], $statement->fetch(PDO::FETCH_ASSOC));
        self::assertFalse($statement->fetch());
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testBytesSurvive(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $table = $this->createTable($pdo, 'id int, bytes bytea');
        $all = implode('', array_map('chr', range(0, 255)));
        // The second is larger than any buffer between here and the server.
        $stored = [1 => $all, 2 => str_repeat($all, 2048), 3 => '', 4 => null];
        $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?, ?)");
        foreach ($stored as $id => $bytes) {
            $insert->bindValue(1, $id, PDO::PARAM_INT);
            $insert->bindValue(2, $bytes, PDO::PARAM_LOB);
            $insert->execute();
        }
        $select = $pdo->prepare("SELECT bytes FROM {$table} WHERE id = ?");
        foreach ($stored as $id => $bytes) {
            $select->execute([$id]);
            $found = $select->fetchColumn();
            $found = is_resource($found) ? stream_get_contents($found) : $found;
            self::assertTrue($found === $bytes, "bytes of row {$id} differ");
        }
        self::assertSame(256 * 2048, (int) $this->value($pdo, "SELECT max(length(bytes)) FROM {$table}"));
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testAStreamCanBeAParameter(string $database, array $options): void
    {
        $pdo = $this->connect($database, $options);
        $stream = fopen('php://memory', 'w+b');
        self::assertNotFalse($stream);
        fwrite($stream, "a\0b\xff");
        rewind($stream);
        $statement = $pdo->prepare("SELECT encode(?::bytea, 'hex')");
        $statement->bindValue(1, $stream, PDO::PARAM_LOB);
        $statement->execute();
        self::assertSame('610062ff', $statement->fetchColumn());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testColumnsHaveTheirTypes(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'i int, b bytea');
        $statement = $pdo->query("SELECT i, b, 'x'::text AS t FROM {$table}");
        $types = array_map(
            static fn (int $column): string => $statement->getColumnMeta($column)['native_type'],
            range(0, 2),
        );
        self::assertSame(['int4', 'bytea', 'text'], $types);
        // PDO asks the server in between for the name of the table.
        self::assertSame($table, $statement->getColumnMeta(0)['table']);
        self::assertFalse($statement->fetch());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testManyRowsArriveInOrder(string $database): void
    {
        $pdo = $this->connect($database, [PDO::ATTR_EMULATE_PREPARES => false]);
        $statement = $pdo->prepare("SELECT i, repeat('x', i % 100) FROM generate_series(1, ?::int) AS i");
        $statement->execute([20_000]);
        $count = 0;
        foreach ($statement->fetchAll(PDO::FETCH_NUM) as [$i, $text]) {
            $count++;
            if ($i !== $count || strlen($text) !== $i % 100) {
                self::fail("row {$count} is {$i} with " . strlen($text) . ' characters');
            }
        }
        self::assertSame(20_000, $count);
    }
}
