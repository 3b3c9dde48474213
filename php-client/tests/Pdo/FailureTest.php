<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use PDO;
use PDOException;
use PHPUnit\Framework\TestCase;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PoolExhausted;
use RrPgpool\Pdo\PgpoolPdo;
use Throwable;

/**
 * The three classes of failures, in words by which frameworks tell them apart.
 */
final class FailureTest extends TestCase
{
    /** @return iterable<string, array{array<string, mixed>|Throwable, string, string}> */
    public static function lost(): iterable
    {
        $said = static fn (string $state, string $text): array => ['error' => $text, 'sqlstate' => $state];
        yield 'said by the pool' => [$said('08006', 'server closed the connection unexpectedly'), '08006', 'server'];
        yield 'said by the server' => [
            $said('57P01', 'terminating connection due to administrator command'),
            '57P01',
            'terminating connection',
        ];
        yield 'no server' => [$said('08001', 'no server accepts connections'), '08001', 'no server accepts'];
        yield 'no pool' => [new ConnectionLost('cannot connect to tcp://x: refused', '08006'), '08006', 'refused'];
    }

    /**
     * @dataProvider lost
     * @param array<string, mixed>|Throwable $reply
     */
    public function testALostConnection(array|Throwable $reply, string $sqlstate, string $text): void
    {
        $error = $this->failure($reply);

        self::assertSame($sqlstate, $error->getCode());
        self::assertStringContainsString($text, $error->getMessage());
        self::assertSame(1, substr_count($error->getMessage(), 'server closed the connection unexpectedly'));
    }

    /** @return iterable<string, array{array<string, mixed>|Throwable, class-string<Throwable>}> */
    public static function neutral(): iterable
    {
        $text = 'lost the Connection: broken pipe, reset by peer, 08006';
        $detail = ['detail' => 'too many connections', 'hint' => 'wait for a connection'];
        foreach (['40003' => OutcomeUnknown::class, '53300' => PoolExhausted::class] as $sqlstate => $class) {
            $sqlstate = (string) $sqlstate;
            yield "{$sqlstate} replied" => [
                ['error' => $text, 'sqlstate' => $sqlstate, 'error_detail' => $detail],
                $class,
            ];
            yield "{$sqlstate} thrown" => [new $class($text, $sqlstate), $class];
        }
    }

    /**
     * @dataProvider neutral
     * @param array<string, mixed>|Throwable $reply
     * @param class-string<Throwable> $class
     */
    public function testNoWordInvitesToRepeat(array|Throwable $reply, string $class): void
    {
        $error = $this->failure($reply);

        self::assertInstanceOf($class, $error->getPrevious());
        self::assertDoesNotMatchRegularExpression(
            '/connection|0800|broken pipe|reset by peer|gone away|server closed/i',
            $error->getMessage() . $error->errorInfo[2],
        );
        self::assertContains($error->getCode(), ['40003', '53300']);
    }

    public function testAnUnknownCommit(): void
    {
        $pdo = new PgpoolPdo(new ScriptedTransport(
            ['tx_id' => 't'],
            ['error' => 'nobody knows', 'sqlstate' => '40003'],
        ));
        $pdo->beginTransaction();
        try {
            $pdo->commit();
            self::fail('committed');
        } catch (PDOException $error) {
            self::assertSame('40003', $error->getCode());
        }
        self::assertFalse($pdo->inTransaction());
    }

    public function testNothingLeavesALostTransaction(): void
    {
        $over = ['error' => 'the transaction is finished: its connection was lost', 'sqlstate' => '25000'];
        $transport = new ScriptedTransport(
            ['tx_id' => 't'],
            ['error' => 'server closed the connection unexpectedly', 'sqlstate' => '08006'],
            $over,
            $over,
        );
        $pdo = new PgpoolPdo($transport);
        $pdo->beginTransaction();
        foreach (['08006', '25000'] as $sqlstate) {
            try {
                $pdo->exec('DELETE FROM t');
                self::fail('a statement ran outside of its transaction');
            } catch (PDOException $error) {
                self::assertSame($sqlstate, $error->getCode());
            }
        }
        self::assertTrue($pdo->rollBack());
        self::assertSame(0, $pdo->exec('DELETE FROM t'));
        $outside = array_filter($transport->calls, static fn (array $call): bool => !isset($call[1]['tx_id']));
        self::assertSame([0, array_key_last($transport->calls)], array_keys($outside));
    }

    public function testRequests(): void
    {
        $transport = new ScriptedTransport();
        $pdo = new PgpoolPdo($transport, 'other', ['search_path' => 'app']);
        $pdo->prepare('SELECT :a, :b, :a')->execute(['a' => 1, 'b' => null]);
        $pdo->exec('SELECT 1; SELECT 2');
        [[, $first], [, $second]] = $transport->calls;

        self::assertSame('SELECT $1, $2, $1', $first['query']);
        self::assertSame(['1', null], $first['args']);
        self::assertSame('text', $first['types']);
        self::assertSame('rows', $first['result']);
        self::assertSame('other', $first['database']);
        self::assertSame(['search_path' => 'app'], $first['settings']);
        self::assertTrue($second['simple']);
    }

    public function testTheServersVersionIsAskedOnce(): void
    {
        $transport = new ScriptedTransport(['databases' => ['primary' => '16.3', 'other' => null]]);
        $pdo = new PgpoolPdo($transport);
        self::assertSame('16.3', $pdo->getAttribute(PDO::ATTR_SERVER_VERSION));
        self::assertSame('16.3', $pdo->getAttribute(PDO::ATTR_SERVER_VERSION));
        self::assertCount(1, $transport->calls);
    }

    /** @param array<string, mixed>|Throwable $reply */
    private function failure(array|Throwable $reply): PDOException
    {
        try {
            (new PgpoolPdo(new ScriptedTransport($reply)))->query('SELECT 1');
        } catch (PDOException $error) {
            return $error;
        }
        self::fail('no error');
    }
}
