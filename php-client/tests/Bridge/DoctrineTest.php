<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Bridge;

use Closure;
use DateTimeImmutable;
use Doctrine\DBAL\ArrayParameterType;
use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\Exception;
use Doctrine\DBAL\ParameterType;
use PDO;
use RrPgpool\Bridge\Doctrine\ConnectionResetter;
use RrPgpool\Bridge\Doctrine\PgpoolDriver;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Pdo\FacadeTestCase;
use RrPgpool\Tests\Servers;
use RuntimeException;

/**
 * Doctrine DBAL on the driver of this package, and beside it on its own driver.
 */
final class DoctrineTest extends FacadeTestCase
{
    protected function setUp(): void
    {
        $missing = Frameworks::missing(Connection::class);
        if ($missing !== null) {
            self::markTestSkipped($missing);
        }
    }

    /** @return iterable<string, array{Closure}> */
    public static function uses(): iterable
    {
        $rows = 'SELECT 1 AS a, true AS b, 1.50 AS c, null AS d UNION ALL SELECT 2, false, 2, null';
        $fetches = ['Numeric', 'Associative', 'AllNumeric', 'AllAssociative', 'One', 'FirstColumn', 'AllKeyValue'];
        foreach ($fetches as $name) {
            yield "fetch{$name}" => [static fn (Connection $db): mixed => $db->{"fetch{$name}"}($rows)];
        }
        yield 'results' => [static function (Connection $db) use ($rows): array {
            $result = $db->executeQuery($rows);
            $first = $result->fetchNumeric();
            $counts = [$result->rowCount(), $result->columnCount()];
            $rest = [$result->fetchOne(), $result->fetchOne(), $result->fetchAssociative(), $result->fetchAllNumeric()];
            $result->free();

            return [$first, $counts, $rest, iterator_to_array($db->iterateKeyValue($rows))];
        }];
        yield 'parameters' => [static fn (Connection $db): array => $db->fetchNumeric(
            'SELECT ?::int, ?::text, ?::bool, ?::bytea, ?::bytea, ?::text',
            [1, 'x', false, "\0\xff", "\xfe", null],
            [
                ParameterType::INTEGER, ParameterType::STRING, ParameterType::BOOLEAN, ParameterType::BINARY,
                ParameterType::LARGE_OBJECT, ParameterType::NULL,
            ],
        )];
        yield 'types' => [static function (Connection $db): array {
            $types = [
                'b' => 'boolean', 'j' => 'json', 't' => 'datetime_immutable', 'f' => 'float', 'd' => 'decimal',
                'y' => 'blob',
            ];
            $values = $db->fetchAssociative(
                'SELECT :b::bool b, :j::jsonb j, :t::timestamp t, :f::float8 f, :d::numeric d, :y::bytea y',
                [
                    'b' => true, 'j' => ['x' => [1]], 't' => new DateTimeImmutable('2024-02-29 12:00'), 'f' => 0.1,
                    'd' => '1.50', 'y' => "\0\xff",
                ],
                $types,
            );

            return array_map($db->convertToPHPValue(...), $values, $types);
        }];
        yield 'names' => [static fn (Connection $db): mixed => $db->fetchOne(
            "SELECT :a::int + :b::int + :a::int, ':a', '{\"k\":1}'::jsonb ?? :k",
            ['a' => 1, 'b' => 2, 'k' => 'k'],
        )];
        yield 'lists' => [static fn (Connection $db): array => $db->fetchFirstColumn(
            'SELECT g FROM generate_series(1, 5) g WHERE g IN (?)',
            [[2, 4, 9]],
            [ArrayParameterType::INTEGER],
        )];
        yield 'a prepared statement' => [static function (Connection $db): array {
            $statement = $db->prepare('SELECT ?::int + 1');
            $values = [];
            foreach ([1, 2] as $value) {
                $statement->bindValue(1, $value, ParameterType::INTEGER);
                $values[] = $statement->executeQuery()->fetchOne();
            }

            return $values;
        }];
        yield 'a table' => [static function (Connection $db): array {
            $table = self::table($db);

            return [
                $db->insert($table, ['name' => 'a', 'ok' => true], ['ok' => 'boolean']),
                $db->executeStatement("INSERT INTO {$table} (name) VALUES (?), (?)", ['b', 'c']),
                $db->update($table, ['ok' => false], ['name' => 'b'], ['ok' => 'boolean']),
                $db->delete($table, ['name' => 'c']),
                $db->fetchAllAssociativeIndexed("SELECT name, id, ok FROM {$table} ORDER BY id"),
                $db->createQueryBuilder()->select('name')->from($table)->where('ok = :ok')
                    ->setParameter('ok', true, ParameterType::BOOLEAN)->fetchFirstColumn(),
            ];
        }];
        yield 'the generated id' => [static function (Connection $db): array {
            $table = self::table($db);

            return $db->transactional(static function (Connection $db) use ($table): array {
                $db->insert($table, ['name' => 'a']);

                return [(string) $db->lastInsertId()];
            });
        }];
        yield 'the schema' => [static function (Connection $db): array {
            self::table($db);
            $columns = $db->createSchemaManager()->listTableColumns('doctrine_table');

            return [array_keys($columns), $db->getDatabase(), $db->getDatabasePlatform()::class];
        }];
        yield 'nested transactions' => [static function (Connection $db): array {
            $table = self::table($db);
            $db->setNestTransactionsWithSavepoints(true);
            $db->transactional(static function (Connection $db) use ($table): void {
                $db->insert($table, ['name' => 'outer']);
                try {
                    $db->transactional(static function (Connection $db) use ($table): void {
                        $db->insert($table, ['name' => 'inner']);
                        throw new RuntimeException('no');
                    });
                } catch (RuntimeException) {
                }
            });

            return [$db->fetchFirstColumn("SELECT name FROM {$table}"), $db->getTransactionNestingLevel()];
        }];
        yield 'quoting' => [static fn (Connection $db): string => $db->quote("it's \\")];
        $errors = [
            'syntax' => 'SELEC',
            'no table' => 'SELECT * FROM nosuch',
            'no column' => 'SELECT nosuch',
            'null' => 'INSERT INTO doctrine_table (name) VALUES (null)',
            'unique' => "INSERT INTO doctrine_table (name) VALUES ('a'), ('a')",
            'exists' => 'CREATE TABLE doctrine_table ()',
            'ambiguous' => 'SELECT name FROM doctrine_table a, doctrine_table b',
            'schema' => 'CREATE TABLE nosuch.t ()',
            'deadlock' => "DO \$\$ BEGIN RAISE EXCEPTION 'd' USING ERRCODE = '40P01'; END \$\$",
            'conflict' => "DO \$\$ BEGIN RAISE EXCEPTION 'c' USING ERRCODE = '40001'; END \$\$",
        ];
        foreach ($errors as $name => $sql) {
            yield "error, {$name}" => [static function (Connection $db) use ($sql): mixed {
                self::table($db);

                return $db->executeStatement($sql);
            }];
        }
    }

    /**
     * @dataProvider uses
     * @requires extension pdo_pgsql
     */
    public function testIsLikeItsOwnDriver(Closure $work): void
    {
        preg_match('/host=(.*);port=(.*)/', Servers::proxy(), $door);
        $own = DriverManager::getConnection([
            'driver' => 'pdo_pgsql', 'host' => $door[1], 'port' => (int) $door[2], 'dbname' => 'by_transaction',
            'user' => 'app', 'password' => 'secret',
        ]);

        $this->assertEqualOutcomes($work, $own, self::connection());
    }

    public function testOptions(): void
    {
        $db = self::connection(['settings' => ['TimeZone' => 'Asia/Tokyo'], PDO::ATTR_STRINGIFY_FETCHES => true]);
        self::assertSame(['Asia/Tokyo', '1'], $db->fetchNumeric("SELECT current_setting('TimeZone'), 1"));
        self::assertInstanceOf(PgpoolPdo::class, $db->getNativeConnection());
        $wrong = [
            'UTF-8' => self::connection([], ['charset' => 'latin1']),
            'unknown driverOptions: adress' => self::connection(['adress' => 'unix:///nowhere']),
        ];
        foreach ($wrong as $part => $connection) {
            try {
                $connection->fetchOne('SELECT 1');
                self::fail($part);
            } catch (Exception $error) {
                self::assertStringContainsString($part, $error->getMessage());
            }
        }
    }

    public function testTheGeneratedIdNeedsATransaction(): void
    {
        $this->expectException(Exception::class);
        $this->expectExceptionMessage('RETURNING');
        self::connection()->lastInsertId();
    }

    public function testACommitThatFailsSaysWhy(): void
    {
        $db = self::connection();
        $table = self::table($db);
        $db->executeStatement("ALTER TABLE {$table} ADD CHECK (name <> 'x')");
        $db->executeStatement("ALTER TABLE {$table} ADD UNIQUE (ok) DEFERRABLE INITIALLY DEFERRED");
        try {
            $db->transactional(static fn (Connection $db) => $db->executeStatement(
                "INSERT INTO {$table} (name, ok) VALUES ('a', true), ('b', true)",
            ));
            self::fail('committed');
        } catch (\Throwable $error) {
            self::assertStringContainsString('SQLSTATE[23505]', $error->getMessage());
        }
        self::assertSame(0, $db->fetchOne("SELECT count(*) FROM {$table}"));
    }

    public function testTheResetterRollsBack(): void
    {
        $db = self::connection();
        $unused = self::connection();
        $table = self::table($db);
        $resetter = new ConnectionResetter([$db, $unused]);
        $resetter->reset();
        self::assertTrue($db->isConnected(), 'nothing was open, so nothing is closed');
        self::assertFalse($unused->isConnected());

        $db->beginTransaction();
        $db->beginTransaction();
        $db->insert($table, ['name' => 'a']);
        $resetter->reset();
        self::assertFalse($db->isTransactionActive());
        self::assertSame(0, $db->fetchOne("SELECT count(*) FROM {$table}"));

        $native = $db->getNativeConnection();
        $native->openSession();
        $resetter->reset();
        self::assertFalse($native->hasSession());
    }

    /**
     * @param array<array-key, mixed> $options
     * @param array<string, mixed> $params
     */
    private static function connection(array $options = [], array $params = []): Connection
    {
        return DriverManager::getConnection($params + [
            'driverClass' => PgpoolDriver::class,
            'driverOptions' => $options + ['address' => Servers::address()],
        ]);
    }

    private static function table(Connection $db): string
    {
        $db->executeStatement('DROP TABLE IF EXISTS doctrine_table; CREATE TABLE doctrine_table ('
            . 'id serial PRIMARY KEY, name text NOT NULL UNIQUE, ok bool)');

        return 'doctrine_table';
    }
}
