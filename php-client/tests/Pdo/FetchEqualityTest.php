<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use Closure;
use PDO;

/**
 * Every fetch mode gives the same with pdo_pgsql and with the facade.
 *
 * @requires extension pdo_pgsql
 */
final class FetchEqualityTest extends FacadeTestCase
{
    private const ROWS = "SELECT * FROM (VALUES (1, 'a', true), (1, 'b', false), (2, 'c', null)) v (id, name, ok)";

    /** @return iterable<string, array{Closure}> */
    public static function fetches(): iterable
    {
        $modes = [
            'ASSOC', 'NUM', 'BOTH', 'OBJ', 'BOUND', 'COLUMN', 'CLASS', 'INTO', 'NAMED', 'KEY_PAIR',
            'GROUP', 'UNIQUE',
        ];
        foreach ($modes as $name) {
            $mode = constant("PDO::FETCH_{$name}");
            yield "fetch {$name}" => [static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetch($mode)];
            yield "fetchAll {$name}" => [static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetchAll($mode)];
            // PDO itself makes no sense of these two in groups.
            foreach (in_array($name, ['BOUND', 'KEY_PAIR'], true) ? [] : ['GROUP', 'UNIQUE'] as $flag) {
                $both = $mode | constant("PDO::FETCH_{$flag}");
                yield "fetchAll {$name} {$flag}" => [
                    static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetchAll($both),
                ];
            }
        }
        $more = [
            'columns' => [PDO::FETCH_COLUMN, 1],
            'no such column' => [PDO::FETCH_COLUMN, 9],
            'groups of columns' => [PDO::FETCH_COLUMN | PDO::FETCH_GROUP, 1],
            'groups of column 0' => [PDO::FETCH_COLUMN | PDO::FETCH_GROUP, 0],
            'groups of column 2' => [PDO::FETCH_COLUMN | PDO::FETCH_GROUP, 2],
            'unique columns' => [PDO::FETCH_COLUMN | PDO::FETCH_UNIQUE, 1],
            'class' => [PDO::FETCH_CLASS, Row::class],
            'class, arguments' => [PDO::FETCH_CLASS, Row::class, [1, 'x']],
            'class, late' => [PDO::FETCH_CLASS | PDO::FETCH_PROPS_LATE, Row::class, [1]],
            'groups of objects' => [PDO::FETCH_CLASS | PDO::FETCH_GROUP, Row::class],
            'function' => [PDO::FETCH_FUNC, static fn (int $id, string $name): string => "{$id} {$name}"],
            'groups of function' => [PDO::FETCH_FUNC | PDO::FETCH_GROUP, static fn (mixed ...$all): array => $all],
            'no function' => [PDO::FETCH_FUNC],
        ];
        foreach ($more as $name => $arguments) {
            yield "fetchAll, {$name}" => [
                static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetchAll(...$arguments),
            ];
        }
    }

    /** @return iterable<string, array{Closure}> */
    public static function results(): iterable
    {
        $query = static fn (string $sql, int $mode): array => [
            static fn (PDO $pdo): mixed => $pdo->query($sql)->fetchAll($mode),
        ];
        yield 'one name twice' => $query('SELECT 1 AS a, 2 AS a, 3 AS b', PDO::FETCH_ASSOC);
        yield 'one name twice, named' => $query('SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a', PDO::FETCH_NAMED);
        yield 'one name twice, both' => $query('SELECT 1 AS a, 2 AS a, 3 AS b', PDO::FETCH_BOTH);
        yield 'names of digits' => $query('SELECT 1 AS "1", 2 AS a, 3 AS "0"', PDO::FETCH_BOTH);
        yield 'pairs' => $query("SELECT 1, 'a' UNION ALL SELECT 2, 'b' UNION ALL SELECT 1, 'c'", PDO::FETCH_KEY_PAIR);
        yield 'odd keys' => $query(
            'SELECT null, 2 UNION ALL SELECT true, 3 UNION ALL SELECT false, 4',
            PDO::FETCH_KEY_PAIR,
        );
        yield 'class by name' => $query(
            "SELECT 'RrPgpool\\Tests\\Pdo\\Row', 1 AS id UNION ALL SELECT 'None', 2",
            PDO::FETCH_CLASS | PDO::FETCH_CLASSTYPE,
        );
        yield 'values for properties' => [
            static fn (PDO $pdo): mixed => $pdo->query("SELECT 7 AS id, 1.50 AS price, 'x' AS other")
                ->fetchAll(PDO::FETCH_CLASS, Row::class),
        ];
        yield 'no rows' => $query('SELECT 1 WHERE false', PDO::FETCH_ASSOC);
        yield 'no columns' => [static fn (PDO $pdo): mixed => $pdo->query('SELECT FROM pg_class LIMIT 0')->fetch()];
    }

    /**
     * @dataProvider fetches
     * @dataProvider results
     */
    public function testFetches(Closure $work): void
    {
        $this->assertEqualBehaviour($work);
    }
}
