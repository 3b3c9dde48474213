<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PDOException;
use PHPUnit\Framework\TestCase;

/**
 * What the tests of the PostgreSQL door share: connections of PDO to a database of each mode, and
 * words for expectations about them.
 */
abstract class PdoTestCase extends TestCase
{
    protected const TRANSACTION = 'by_transaction';
    protected const AUTO = 'by_auto';
    protected const SESSION = 'by_session';
    /** The most server connections that clients share, but for session mode. */
    protected const SHARED = 3;

    /** @return array<string, array{string}> the databases that take clients, by the mode's name */
    public static function modes(): array
    {
        return [
            'transaction mode' => [self::TRANSACTION],
            'auto mode' => [self::AUTO],
            'session mode' => [self::SESSION],
        ];
    }

    /** @return array<string, array{string, array<int, mixed>}> databases and ways to prepare */
    public static function waysToPrepare(): array
    {
        $ways = [
            'native' => [PDO::ATTR_EMULATE_PREPARES => false],
            'emulated' => [PDO::ATTR_EMULATE_PREPARES => true],
            'disabled' => [PDO::ATTR_EMULATE_PREPARES => false, PDO::PGSQL_ATTR_DISABLE_PREPARES => true],
        ];
        $cases = [];
        foreach (self::modes() as $mode => [$database]) {
            foreach ($ways as $way => $options) {
                $cases["{$way}, {$mode}"] = [$database, $options];
            }
        }

        return $cases;
    }

    /** @param array<int, mixed> $options */
    protected function connect(string $database, array $options = [], string $more = ''): PDO
    {
        $source = 'pgsql:' . Servers::proxy() . ";dbname={$database}{$more}";

        return new PDO($source, 'app', 'secret', $options);
    }

    /**
     * @param array<int, mixed> $options
     * @return list<PDO> more of them than the transaction mode has server connections
     */
    protected function connectSeveral(string $database, array $options = []): array
    {
        return array_map(fn (): PDO => $this->connect($database, $options), range(1, 2 * self::SHARED));
    }

    /**
     * @param array<int|string, mixed> $args
     * @return mixed the first column of the only row
     */
    protected function value(PDO $pdo, string $sql, array $args = []): mixed
    {
        $statement = $pdo->prepare($sql);
        $statement->execute($args);
        $rows = $statement->fetchAll(PDO::FETCH_NUM);
        self::assertCount(1, $rows);

        return $rows[0][0];
    }

    /** The error, which has that SQLSTATE and a message with that text. */
    protected function assertFails(string $sqlstate, string $text, callable $work): PDOException
    {
        try {
            $work();
        } catch (PDOException $error) {
            self::assertSame($sqlstate, $error->errorInfo[0] ?? null, $error->getMessage());
            self::assertStringContainsString($text, $error->getMessage());

            return $error;
        }
        self::fail("no error, though {$sqlstate} was to come");
    }

    /** Makes a table with a name that no other test uses; it goes with the throw-away server. */
    protected function createTable(PDO $pdo, string $columns): string
    {
        $table = 'pdo_' . bin2hex(random_bytes(6));
        $pdo->exec("CREATE TABLE {$table} ({$columns})");

        return $table;
    }
}
