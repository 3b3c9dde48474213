<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use Closure;
use PDO;

/**
 * Statements behave the same with pdo_pgsql and with the facade.
 *
 * @requires extension pdo_pgsql
 */
final class StatementEqualityTest extends FacadeTestCase
{
    private const ROWS = "SELECT * FROM (VALUES (1, 'a', true), (1, 'b', false), (2, 'c', null)) v (id, name, ok)";

    /** @return iterable<string, array{Closure}> */
    public static function statements(): iterable
    {
        yield 'counts' => [static function (PDO $pdo): array {
            $prepared = $pdo->prepare('SELECT 1');
            $none = [$prepared->rowCount(), $prepared->columnCount(), $prepared->fetch(), $prepared->fetchAll()];
            $read = $pdo->query(self::ROWS);
            $show = $pdo->query('SHOW server_version_num');

            return [$none, $read->rowCount(), $read->columnCount(), $show->rowCount()];
        }];
        yield 'changed rows' => [static function (PDO $pdo, FacadeTestCase $test): array {
            $table = $test->createTable($pdo, 'a int');
            $insert = $pdo->prepare("INSERT INTO {$table} VALUES (?), (?)");
            $insert->execute([1, 2]);
            $returning = $pdo->query("INSERT INTO {$table} VALUES (3) RETURNING a");

            return [
                $insert->rowCount(),
                $insert->columnCount(),
                $returning->rowCount(),
                $returning->fetchColumn(),
                $pdo->exec("UPDATE {$table} SET a = a + 1"),
                $pdo->exec("INSERT INTO {$table} VALUES (4); DELETE FROM {$table} WHERE a < 3"),
                $pdo->exec("SELECT * FROM {$table}"),
                $pdo->exec("INSERT INTO {$table} VALUES (4) RETURNING a"),
                $pdo->query("SELECT a FROM {$table} ORDER BY a")->fetchAll(PDO::FETCH_COLUMN),
            ];
        }];
        yield 'iteration' => [
            static fn (PDO $pdo): array => iterator_to_array($pdo->query(self::ROWS, PDO::FETCH_NUM)),
        ];
        yield 'an object to fill' => [static function (PDO $pdo): array {
            $object = new Row();
            $statement = $pdo->query(self::ROWS, PDO::FETCH_INTO, $object);

            return [$statement->fetch() === $object, $statement->fetch()];
        }];
        yield 'fetchObject' => [static function (PDO $pdo): array {
            $statement = $pdo->query(self::ROWS);

            return [
                $statement->fetchObject(Row::class, [1, 2]),
                $statement->fetchObject(),
                $statement->fetch(),
                $statement->fetchObject(),
            ];
        }];
        yield 'setFetchMode' => [static function (PDO $pdo): array {
            $statement = $pdo->query(self::ROWS);
            $statement->setFetchMode(PDO::FETCH_CLASS, Row::class, [7]);
            $object = $statement->fetch();
            $statement->setFetchMode(PDO::FETCH_COLUMN, 1);

            return [$object, $statement->fetch(), $statement->fetchAll(), $statement->fetch()];
        }];
        foreach ([[PDO::FETCH_COLUMN], [PDO::FETCH_CLASS], [PDO::FETCH_ASSOC, 3], [99]] as $i => $arguments) {
            yield "setFetchMode, wrong, {$i}" => [
                static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->setFetchMode(...$arguments),
            ];
        }
        yield 'fetchColumn' => [static function (PDO $pdo): array {
            $statement = $pdo->query(self::ROWS);

            return array_map($statement->fetchColumn(...), [1, 0, 2, 0]);
        }];
        yield 'fetchColumn, wrong' => [static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetchColumn(7)];
        yield 'fetchColumn, negative' => [static fn (PDO $pdo): mixed => $pdo->query(self::ROWS)->fetchColumn(-1)];
        yield 'bound columns' => [static function (PDO $pdo): array {
            $statement = $pdo->prepare(self::ROWS);
            $statement->bindColumn(1, $id);
            $statement->bindColumn('name', $name, PDO::PARAM_STR);
            $statement->bindColumn('ok', $ok, PDO::PARAM_INT);
            $statement->execute();
            $rows = [];
            while ($row = $statement->fetch(PDO::FETCH_BOUND)) {
                $rows[] = [$row, $id, $name, $ok];
            }

            return $rows;
        }];
        yield 'bound bytes' => [static function (PDO $pdo): array {
            $statement = $pdo->prepare("SELECT '\\x00ff'::bytea a, '\\x00ff'::bytea b");
            $statement->execute();
            $statement->bindColumn('a', $a, PDO::PARAM_LOB);
            $statement->bindColumn('b', $b);
            $statement->fetch();

            return [$a, $b];
        }];
        yield 'an unknown bound column' => [static function (PDO $pdo): bool {
            $statement = $pdo->prepare(self::ROWS);
            $statement->bindColumn('nosuch', $value);

            return $statement->execute();
        }];
        yield 'bindParam' => [static function (PDO $pdo): array {
            $statement = $pdo->prepare('SELECT ?::text');
            $statement->bindParam(1, $value);
            $values = [];
            foreach (['a', 'b'] as $value) {
                $statement->execute();
                $values[] = $statement->fetchColumn();
            }

            return $values;
        }];
        yield 'a stream as parameter' => [static function (PDO $pdo): array {
            $stream = fopen('php://memory', 'r+b');
            fwrite($stream, "a\0b\xff");
            rewind($stream);
            $statement = $pdo->prepare('SELECT ?::bytea');
            $statement->bindParam(1, $stream, PDO::PARAM_LOB);
            $statement->execute();

            return $statement->fetch(PDO::FETCH_NUM);
        }];
        foreach (['0' => 0, '9' => 9, 'name' => 'nosuch'] as $name => $parameter) {
            yield "bindValue, {$name}" => [
                static fn (PDO $pdo): mixed => $pdo->prepare('SELECT ?::int')->bindValue($parameter, 1),
            ];
        }
        yield 'closeCursor' => [static function (PDO $pdo): array {
            $statement = $pdo->query(self::ROWS);
            $closed = $statement->closeCursor();
            $again = $statement->execute();

            return [$closed, $again, $statement->fetch(PDO::FETCH_NUM)];
        }];
        yield 'debugDumpParams' => [static function (PDO $pdo): string {
            ob_start();
            $statement = $pdo->prepare('SELECT :a::int, :b::text');
            $statement->bindValue(':a', 1, PDO::PARAM_INT);
            $statement->bindValue('b', 'x');
            $statement->debugDumpParams();
            $statement = $pdo->prepare('SELECT ?::int');
            $statement->bindValue(1, 5);
            $statement->debugDumpParams();

            return ob_get_clean();
        }];
        yield 'column meta' => [static function (PDO $pdo): array {
            $statement = $pdo->query("SELECT 1 a, 'x'::text, now(), '1'::bytea, true");

            return [
                array_map($statement->getColumnMeta(...), range(0, 5)),
                $pdo->prepare('SELECT 1')->getColumnMeta(0),
            ];
        }];
        yield 'nextRowset' => [static fn (PDO $pdo): mixed => $pdo->query('SELECT 1')->nextRowset()];
        yield 'the same statement again' => [static function (PDO $pdo): array {
            $statement = $pdo->prepare('SELECT ?::int + 1');
            $values = [];
            foreach ([1, 'x', 2] as $value) {
                try {
                    $statement->execute([$value]);
                    $values[] = $statement->fetchColumn();
                } catch (\PDOException $error) {
                    $values[] = [$error->getCode(), $statement->errorCode()];
                }
            }

            return $values;
        }];
    }

    /** @dataProvider statements */
    public function testStatements(Closure $work): void
    {
        $this->assertEqualBehaviour($work);
    }
}
