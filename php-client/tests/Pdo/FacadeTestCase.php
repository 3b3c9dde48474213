<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use Closure;
use Error;
use PDO;
use PDOException;
use PDOStatement;
use PHPUnit\Framework\TestCase;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Pdo\PgpoolPdoException;
use RrPgpool\Tests\Servers;
use Throwable;

/**
 * Facades and real PDO objects in front of the same database, and results of both that can be
 * compared.
 */
abstract class FacadeTestCase extends TestCase
{
    /** Parts of messages that have to differ: the facade does not get the server's CONTEXT, … */
    private const DIFFERENT = [
        '/\nCONTEXT:[^\n(]*/' => '',
        '/"pdo_stmt_\w+"/' => '""',
        '/Host: [^,]*, Port: [^,]*, /' => '',
    ];

    /** @param array<string, string|int|float|bool> $settings */
    protected function facade(array $settings = [], string $database = 'primary'): PgpoolPdo
    {
        return PgpoolPdo::connect(Servers::address(), $database, $settings);
    }

    /** pdo_pgsql with a server connection of its own. */
    protected function real(): PDO
    {
        return new PDO('pgsql:' . Servers::proxy() . ';dbname=by_session', 'app', 'secret');
    }

    /** Runs the same code against both, and expects the same. */
    protected function assertEqualBehaviour(Closure $work): void
    {
        $this->assertEqualOutcomes($work, $this->real(), $this->facade());
    }

    /**
     * Runs the same code against two connections of whatever kind, and expects the same.
     *
     * @param Closure(mixed, self): mixed $work
     */
    protected function assertEqualOutcomes(Closure $work, object $expected, object $actual): void
    {
        $expected = $this->outcome($work, $expected);
        $actual = $this->outcome($work, $actual);

        self::assertSame(self::printed($expected), self::printed($actual));
    }

    /** Makes a table with a name that no other test uses; it goes with the throw-away server. */
    public function createTable(PDO $pdo, string $columns): string
    {
        $table = 'facade_' . bin2hex(random_bytes(6));
        $pdo->exec("CREATE TABLE {$table} ({$columns})");

        return $table;
    }

    /** The error, which has that SQLSTATE and a message with that text. */
    protected function assertFails(string $sqlstate, string $text, callable $work): PDOException
    {
        try {
            $work();
        } catch (PDOException $error) {
            self::assertSame($sqlstate, $error->getCode(), $error->getMessage());
            self::assertSame($sqlstate, $error->errorInfo[0] ?? null);
            self::assertStringContainsString($text, $error->getMessage());

            return $error;
        }
        self::fail("no error, though {$sqlstate} was to come");
    }

    private function outcome(Closure $work, object $connection): mixed
    {
        try {
            return self::plain($work($connection, $this));
        } catch (Throwable $error) {
            if ($error::class === Error::class) {
                // A mistake in the test is the same with both.
                throw $error;
            }
            $message = preg_replace(array_keys(self::DIFFERENT), self::DIFFERENT, $error->getMessage());
            $class = $error instanceof PgpoolPdoException ? PDOException::class : $error::class;

            return [$class, $error->getCode(), rtrim($message), $error->errorInfo[0] ?? null];
        }
    }

    /** Resources as their contents, objects as their class and properties. */
    private static function plain(mixed $value): mixed
    {
        return match (true) {
            is_resource($value) => ['stream', bin2hex(stream_get_contents($value))],
            $value instanceof PDOStatement => ['statement', $value->queryString],
            is_object($value) => [$value::class, self::plain((array) $value)],
            is_array($value) => array_map(self::plain(...), $value),
            default => $value,
        };
    }

    private static function printed(mixed $value): string
    {
        return str_replace("\0", '~', var_export($value, true));
    }
}
