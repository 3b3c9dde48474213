<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\Exception\ConnectionException;
use Doctrine\DBAL\Exception\DriverException;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use Illuminate\Database\QueryException;
use RrPgpool\Tests\Bridge\Frameworks;

/**
 * What Laravel and Doctrine, with their own drivers, do about failures that the PostgreSQL door reports: a
 * statement that was not executed may be run again, one of which nobody knows never.
 */
final class FrameworkFailuresTest extends PdoTestCase
{
    /** Ends its own server connection the first time, and none after that. */
    private const ONCE = "SELECT CASE WHEN nextval('failures_seq') = 1"
        . ' THEN pg_terminate_backend(pg_backend_pid()) ELSE true END AS ended';
    /** Two statements in one text, of which the first may have been committed when the second ends it all. */
    private const UNKNOWN = "INSERT INTO failures VALUES (nextval('failures_seq'));"
        . ' SELECT pg_terminate_backend(pg_backend_pid())';

    public static function setUpBeforeClass(): void
    {
        require_once __DIR__ . '/../../php-client/tests/Bridge/Frameworks.php';
    }

    protected function setUp(): void
    {
        foreach ([Connection::class, \Doctrine\DBAL\Connection::class] as $class) {
            $missing = Frameworks::missing($class);
            if ($missing !== null) {
                self::markTestSkipped($missing);
            }
        }
        // The distribution's frameworks are older than its PHP.
        error_reporting(E_ALL & ~E_DEPRECATED);
        $pdo = $this->connect('app');
        $pdo->exec('DROP TABLE IF EXISTS failures; DROP SEQUENCE IF EXISTS failures_seq');
        $pdo->exec('CREATE TABLE failures (n bigint); CREATE SEQUENCE failures_seq');
    }

    protected function tearDown(): void
    {
        error_reporting(-1);
    }

    public function testLaravelRunsAgainWhatWasNotExecuted(): void
    {
        self::assertTrue($this->laravel()->selectOne(self::ONCE)->ended);
        self::assertSame(2, (int) $this->value($this->connect('app'), 'SELECT last_value FROM failures_seq'));
    }

    public function testLaravelDoesNotRunAgainWhatMayHaveBeenExecuted(): void
    {
        try {
            $this->laravel()->unprepared(self::UNKNOWN);
            self::fail('nobody was told');
        } catch (QueryException $error) {
            self::assertSame('40003', $error->errorInfo[0]);
        }
        // A second attempt would have taken another value.
        self::assertSame(1, (int) $this->value($this->connect('app'), 'SELECT last_value FROM failures_seq'));
    }

    public function testDoctrineNamesWhatWasNotExecutedAndRunsNothingAgain(): void
    {
        try {
            $this->doctrine()->fetchOne(self::ONCE);
            self::fail('nobody was told');
        } catch (DriverException $error) {
            self::assertSame('57P01', $error->getSQLState());
            self::assertStringContainsString('terminating connection', $error->getMessage());
        }
        // The client's own connection has stayed.
        self::assertTrue($this->doctrine()->fetchOne(self::ONCE));
    }

    public function testDoctrineDoesNotTakeAnUnknownOutcomeForALostConnection(): void
    {
        try {
            $this->doctrine()->executeStatement(self::UNKNOWN);
            self::fail('nobody was told');
        } catch (DriverException $error) {
            self::assertNotInstanceOf(ConnectionException::class, $error);
            self::assertSame('40003', $error->getSQLState());
        }
    }

    private function laravel(): Connection
    {
        $manager = new Manager();
        $manager->addConnection($this->parameters() + [
            'driver' => 'pgsql',
            'database' => 'frameworks',
            'username' => 'app',
            'charset' => 'utf8',
        ]);

        return $manager->getConnection();
    }

    private function doctrine(): \Doctrine\DBAL\Connection
    {
        $named = ['driver' => 'pdo_pgsql', 'dbname' => 'frameworks', 'user' => 'app'];

        return DriverManager::getConnection($this->parameters() + $named);
    }

    /** @return array{host: string, port: string, password: string} */
    private function parameters(): array
    {
        preg_match('/^host=(.*);port=(\d+)$/', Servers::proxy(), $door);

        return ['host' => $door[1], 'port' => $door[2], 'password' => 'secret'];
    }
}
