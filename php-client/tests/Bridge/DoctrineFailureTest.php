<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Bridge;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Driver\API\PostgreSQL\ExceptionConverter;
use Doctrine\DBAL\Exception\ConnectionException;
use Doctrine\DBAL\Exception\DeadlockException;
use Doctrine\DBAL\Exception\DriverException as DbalDriverException;
use Doctrine\DBAL\Exception\RetryableException;
use PDOException;
use PHPUnit\Framework\TestCase;
use RrPgpool\Bridge\Doctrine\DriverException;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Pdo\ScriptedTransport;

/**
 * What DBAL makes of failures of the pool.
 */
final class DoctrineFailureTest extends TestCase
{
    protected function setUp(): void
    {
        $missing = Frameworks::missing(Connection::class);
        if ($missing !== null) {
            self::markTestSkipped($missing);
        }
    }

    public function testALostConnection(): void
    {
        self::assertInstanceOf(ConnectionException::class, self::converted('08006', 'the server is gone'));
        $admin = self::converted('57P01', 'terminating connection due to administrator command');
        self::assertStringContainsString('terminating connection', $admin->getMessage());
    }

    public function testConflictsMayBeRetried(): void
    {
        foreach (['40001', '40P01'] as $sqlstate) {
            $error = self::converted($sqlstate, 'x');
            self::assertInstanceOf(DeadlockException::class, $error);
            self::assertInstanceOf(RetryableException::class, $error);
        }
    }

    public function testUnknownOutcomesAndOverloadsMayNot(): void
    {
        foreach (['40003', '53300'] as $sqlstate) {
            $error = self::converted($sqlstate, 'server closed the connection unexpectedly');
            self::assertSame(DbalDriverException::class, $error::class);
            self::assertNotInstanceOf(RetryableException::class, $error);
            self::assertStringNotContainsString('connection', $error->getMessage());
            self::assertSame($sqlstate, $error->getSQLState());
        }
    }

    private static function converted(string $sqlstate, string $text): DbalDriverException
    {
        $pdo = new PgpoolPdo(new ScriptedTransport(['error' => $text, 'sqlstate' => $sqlstate]));
        try {
            $pdo->query('SELECT 1');
        } catch (PDOException $error) {
            return (new ExceptionConverter())->convert(DriverException::from($error), null);
        }
        self::fail('no error');
    }
}
