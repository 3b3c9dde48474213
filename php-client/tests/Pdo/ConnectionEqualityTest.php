<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use Closure;
use PDO;

/**
 * Attributes, errors and transactions are the same with pdo_pgsql and with the facade.
 *
 * @requires extension pdo_pgsql
 */
final class ConnectionEqualityTest extends FacadeTestCase
{
    /** @return iterable<string, array{Closure}> */
    public static function connections(): iterable
    {
        foreach (["a'b\\c", '', 'ä', "a\xffb"] as $i => $text) {
            yield "quote {$i}" => [
                static fn (PDO $pdo): mixed => [$pdo->quote($text), $pdo->quote($text, PDO::PARAM_INT)],
            ];
            yield "quote bytes {$i}" => [static fn (PDO $pdo): mixed => $pdo->quote($text, PDO::PARAM_LOB)];
        }
        foreach (['query', 'exec', 'prepare'] as $method) {
            yield "empty {$method}" => [static fn (PDO $pdo): mixed => $pdo->{$method}('')];
        }
        yield 'attributes' => [static fn (PDO $pdo): array => array_map($pdo->getAttribute(...), [
            PDO::ATTR_DRIVER_NAME, PDO::ATTR_SERVER_VERSION, PDO::ATTR_ERRMODE, PDO::ATTR_CASE,
            PDO::ATTR_ORACLE_NULLS, PDO::ATTR_STRINGIFY_FETCHES, PDO::ATTR_EMULATE_PREPARES,
            PDO::ATTR_DEFAULT_FETCH_MODE, PDO::ATTR_PERSISTENT,
        ])];
        foreach ([PDO::ATTR_AUTOCOMMIT, PDO::ATTR_TIMEOUT, PDO::ATTR_PREFETCH, 9999] as $attribute) {
            yield "get attribute {$attribute}" => [static fn (PDO $pdo): mixed => $pdo->getAttribute($attribute)];
            yield "set attribute {$attribute}" => [static fn (PDO $pdo): mixed => $pdo->setAttribute($attribute, 1)];
        }
        foreach ([PDO::ATTR_ERRMODE, PDO::ATTR_CASE] as $attribute) {
            yield "set attribute {$attribute}" => [static fn (PDO $pdo): mixed => $pdo->setAttribute($attribute, 77)];
        }
        yield 'case' => [static function (PDO $pdo): array {
            $names = [];
            foreach ([PDO::CASE_UPPER, PDO::CASE_LOWER, PDO::CASE_NATURAL] as $case) {
                $pdo->setAttribute(PDO::ATTR_CASE, $case);
                $names[] = $pdo->query('SELECT 1 AS "aB"')->fetch(PDO::FETCH_ASSOC);
            }

            return $names;
        }];
        yield 'nulls' => [static function (PDO $pdo): array {
            $rows = [];
            foreach ([PDO::NULL_EMPTY_STRING, PDO::NULL_TO_STRING, PDO::NULL_NATURAL] as $nulls) {
                $pdo->setAttribute(PDO::ATTR_ORACLE_NULLS, $nulls);
                $rows[] = $pdo->query("SELECT 1, '', null")->fetch(PDO::FETCH_NUM);
            }

            return $rows;
        }];
        yield 'default mode' => [static function (PDO $pdo): mixed {
            $pdo->setAttribute(PDO::ATTR_DEFAULT_FETCH_MODE, PDO::FETCH_ASSOC);

            return [$pdo->query('SELECT 1 a')->fetch(), $pdo->query('SELECT 1 a', PDO::FETCH_NUM)->fetch()];
        }];
        yield 'silence' => [static function (PDO $pdo): array {
            $pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_SILENT);
            $seen = [$pdo->query('nonsense'), $pdo->errorInfo(), $pdo->exec('nonsense'), $pdo->errorCode()];
            $statement = $pdo->prepare('nonsense');

            return [$seen, $statement->execute(), $statement->errorInfo(), $statement->fetch(), $statement->fetchAll()];
        }];
        yield 'success' => [static function (PDO $pdo): array {
            $statement = $pdo->query('SELECT 1');

            return [$pdo->errorCode(), $pdo->errorInfo(), $statement->errorCode(), $statement->errorInfo()];
        }];
        foreach (['commit', 'rollBack'] as $method) {
            yield "{$method} without a transaction" => [static fn (PDO $pdo): mixed => $pdo->{$method}()];
        }
        yield 'a transaction in a transaction' => [static function (PDO $pdo): mixed {
            return [$pdo->beginTransaction(), $pdo->inTransaction(), $pdo->beginTransaction()];
        }];
        yield 'transactions by statements' => [static function (PDO $pdo): array {
            $states = [$pdo->exec('BEGIN'), $pdo->inTransaction(), $pdo->exec('SAVEPOINT a')];
            $pdo->query('ROLLBACK TO a');

            return [...$states, $pdo->inTransaction(), $pdo->exec('commit;'), $pdo->inTransaction()];
        }];
        yield 'lastInsertId' => [static function (PDO $pdo, FacadeTestCase $test): array {
            $table = $test->createTable($pdo, 'id serial');
            $pdo->beginTransaction();
            $pdo->exec("INSERT INTO {$table} DEFAULT VALUES");

            return [$pdo->lastInsertId(), $pdo->lastInsertId("{$table}_id_seq"), $pdo->commit()];
        }];
        yield 'an aborted transaction' => [static function (PDO $pdo): mixed {
            $pdo->beginTransaction();
            try {
                $pdo->exec('nonsense');
            } catch (\PDOException) {
            }

            return $pdo->query('SELECT 1');
        }];
        yield 'a violated constraint' => [static function (PDO $pdo): mixed {
            $pdo->beginTransaction();
            $pdo->exec('CREATE TABLE same_name (id int PRIMARY KEY)');
            $pdo->exec('INSERT INTO same_name VALUES (1)');

            return $pdo->exec('INSERT INTO same_name VALUES (1)');
        }];
        yield 'raised' => [static fn (PDO $pdo): mixed => $pdo->exec(
            "DO \$\$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'the detail', HINT = 'the hint'; END \$\$",
        )];
    }

    /** @dataProvider connections */
    public function testConnections(Closure $work): void
    {
        $this->assertEqualBehaviour($work);
    }
}
