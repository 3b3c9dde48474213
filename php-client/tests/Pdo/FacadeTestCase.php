<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use Closure;
use PDO;
use PDOException;
use PDOStatement;
use PHPUnit\Framework\TestCase;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Servers;
use Throwable;

/**
 * Facades and real PDO objects in front of the same database, and results of both that can be
 * compared.
 */
abstract class FacadeTestCase extends TestCase
{
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
    protected function assertEqualBehaviour(Closure $work, ?PgpoolPdo $facade = null): void
    {
        $expected = $this->outcome($work, $this->real());
        $actual = $this->outcome($work, $facade ?? $this->facade());

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

    private function outcome(Closure $work, PDO $pdo): mixed
    {
        try {
            return self::plain($work($pdo, $this));
        } catch (PDOException $error) {
            // The facade does not get the server's CONTEXT; one's statement has a name, and one's none.
            $message = preg_replace(['/\nCONTEXT:.*/s', '/"pdo_stmt_\w+"/'], ['', '""'], $error->getMessage());

            return [PDOException::class, $error->getCode(), $message, $error->errorInfo[0] ?? null];
        } catch (Throwable $error) {
            return [$error::class, $error->getMessage()];
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
