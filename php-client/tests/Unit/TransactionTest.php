<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use LogicException;
use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\ClientInterface;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\SerializationFailure;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\Exception\TransactionFailed;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\IsolationLevel;
use RrPgpool\TransactionOptions;
use RrPgpool\Transport\FakeRequest;
use RrPgpool\Transport\FakeTransport;
use RuntimeException;

final class TransactionTest extends TestCase
{
    private FakeTransport $transport;
    private Client $client;

    protected function setUp(): void
    {
        $this->transport = new FakeTransport();
        $this->client = new Client($this->transport);
    }

    public function testCommitOnReturn(): void
    {
        $this->transport->willAffect(1);
        $result = $this->client->transaction(function (ClientInterface $client): string {
            self::assertTrue($client->inTransaction());
            $client->execute('UPDATE a');

            return 'done';
        }, new TransactionOptions(
            IsolationLevel::RepeatableRead,
            readOnly: true,
            deferrable: true,
            settings: ['app.user' => '7'],
            idleTimeoutMs: 1000,
            maxLifetimeMs: 2000,
        ));

        self::assertSame('done', $result);
        self::assertFalse($this->client->inTransaction());
        [$begin, $update, $commit] = $this->transport->requests();
        self::assertSame('TransactionBegin', $begin->method);
        self::assertSame([
            'isolation_level' => 'repeatable_read',
            'read_only' => true,
            'deferrable' => true,
            'settings' => ['app.user' => '7'],
            'idle_timeout' => 1000,
            'max_lifetime' => 2000,
        ], $begin->fields);
        self::assertSame(['query' => 'UPDATE a', 'result' => 'rows', 'tx_id' => 'fake-1'], $update->fields);
        self::assertSame('TransactionCommit', $commit->method);
        self::assertSame(['tx_id' => 'fake-1'], $commit->fields);
    }

    public function testRollbackOnException(): void
    {
        $this->expectFailure(LogicException::class, fn () => $this->client->transaction(static function (): void {
            throw new LogicException('no');
        }));

        self::assertSame(['TransactionBegin', 'TransactionRollback'], $this->methods());
    }

    public function testSavepoints(): void
    {
        $this->client->transaction(function (ClientInterface $client): void {
            $client->transaction(static fn () => null);
            $this->expectFailure(LogicException::class, static fn () => $client->transaction(
                static fn () => $client->transaction(static fn () => throw new LogicException('no')),
            ));
        });

        self::assertSame([
            'TransactionBegin',
            'SAVEPOINT pgpool_1',
            'RELEASE SAVEPOINT pgpool_1',
            'SAVEPOINT pgpool_1',
            'SAVEPOINT pgpool_2',
            'ROLLBACK TO SAVEPOINT pgpool_2; RELEASE SAVEPOINT pgpool_2',
            'ROLLBACK TO SAVEPOINT pgpool_1; RELEASE SAVEPOINT pgpool_1',
            'TransactionCommit',
        ], $this->methods());
    }

    public function testOptionsDoNotFitASavepoint(): void
    {
        $this->client->begin();
        $this->client->begin(TransactionOptions::retries(3));
        $this->expectException(InvalidArgument::class);
        $this->client->begin(new TransactionOptions(readOnly: true));
    }

    public function testRetries(): void
    {
        $runs = 0;
        $work = static function () use (&$runs): int {
            if (++$runs < 3) {
                throw new RuntimeException('wrapped', 0, new SerializationFailure('again', '40001'));
            }

            return $runs;
        };

        self::assertSame(3, $this->client->transaction($work, TransactionOptions::retries(2)));
        self::assertSame(3, count(array_keys($this->methods(), 'TransactionBegin')));
        self::assertSame(2, count(array_keys($this->methods(), 'TransactionRollback')));

        $runs = 0;
        $this->expectFailure(
            RuntimeException::class,
            fn () => $this->client->transaction($work, TransactionOptions::retries(1)),
        );
        self::assertSame(2, $runs);
        $runs = 0;
        $this->expectFailure(RuntimeException::class, fn () => $this->client->transaction($work));
        self::assertSame(1, $runs);
    }

    public function testARetryOfTheCommit(): void
    {
        $this->transport->autoReply(false)
            ->willReply(['tx_id' => 'a'])->willFail('40001', 'could not serialize')
            ->willReply(['tx_id' => 'b'])->willReply(['success' => true]);

        self::assertSame(1, $this->client->transaction(static fn () => 1, TransactionOptions::retries(1)));
    }

    public function testOnlyTheOutermostTransactionIsRetried(): void
    {
        $inner = 0;
        $work = static function () use (&$inner): void {
            ++$inner;
            throw new SerializationFailure('again', '40001');
        };
        $this->expectFailure(SerializationFailure::class, fn () => $this->client->transaction(
            fn () => $this->client->transaction($work, TransactionOptions::retries(5)),
        ));
        self::assertSame(1, $inner);
    }

    public function testNothingElseIsRetried(): void
    {
        foreach ([new OutcomeUnknown('?', '40003'), new ConnectionLost('gone', '08006')] as $error) {
            $runs = 0;
            $work = static function () use (&$runs, $error): void {
                ++$runs;
                throw $error;
            };
            $this->expectFailure(
                $error::class,
                fn () => $this->client->transaction($work, TransactionOptions::retries(5)),
            );
            self::assertSame(1, $runs);
        }
    }

    public function testALostTransactionIsNeverLeft(): void
    {
        $this->client->begin();
        $this->client->begin();
        $this->transport->loseConnection();
        foreach ([1, 2] as $time) {
            $this->expectFailure(TransactionEnded::class, fn () => $this->client->execute("UPDATE {$time}"));
        }
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->batch()->add('UPDATE 3')->run());
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->commit());
        $this->client->rollback();
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->execute('UPDATE 4'));
        $this->client->rollback();
        self::assertFalse($this->client->inTransaction());
        self::assertSame([], $this->transport->statements(), 'nothing was sent');

        $this->transport->willAffect(1);
        $this->client->execute('UPDATE 5');
        self::assertArrayNotHasKey('tx_id', $this->last()->fields);
    }

    public function testACommitOfALostTransactionFails(): void
    {
        $this->client->begin();
        $this->transport->loseConnection();
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->commit());
        self::assertFalse($this->client->inTransaction());
        self::assertSame(['TransactionBegin'], $this->methods());
    }

    public function testAnUnansweredStatementLosesTheTransaction(): void
    {
        $this->transport->willThrow(new OutcomeUnknown('no reply', '40003'));
        $this->expectFailure(OutcomeUnknown::class, fn () => $this->client->transaction(function (): void {
            try {
                $this->client->execute('UPDATE');
            } finally {
                $this->expectFailure(TransactionEnded::class, fn () => $this->client->execute('SELECT'));
            }
        }));
        self::assertSame(['TransactionBegin', 'UPDATE'], $this->methods());
    }

    public function testAnUnansweredCommitIsUnknown(): void
    {
        $this->transport->autoReply(false)
            ->willReply(['tx_id' => 'a'])->willThrow(new OutcomeUnknown('no reply', '40003'));
        $this->expectFailure(OutcomeUnknown::class, fn () => $this->client->transaction(static fn () => 1));
        self::assertSame(['TransactionBegin', 'TransactionCommit'], $this->methods());
        self::assertFalse($this->client->inTransaction());
    }

    public function testACommitThatTheServerRefuses(): void
    {
        $this->transport->autoReply(false)->willReply(['tx_id' => 'a'])->willFail('25P02', 'rolled back');
        $this->client->begin();
        $this->expectFailure(TransactionFailed::class, fn () => $this->client->commit());
        self::assertFalse($this->client->inTransaction());
    }

    /** @dataProvider endedStates */
    public function testRollbackOfWhatHasEndedIsNoError(string $sqlstate): void
    {
        $this->transport->autoReply(false)->willReply(['tx_id' => 'a'])->willFail($sqlstate, 'it is over');
        $this->client->begin();
        $this->client->rollback();
        self::assertFalse($this->client->inTransaction());
    }

    /** @return list<array{string}> */
    public static function endedStates(): array
    {
        return [['25000'], ['25P01'], ['25P03'], ['25P04'], ['08006'], ['57P01']];
    }

    public function testRollbackAfterAFailedCommitHidesNothing(): void
    {
        $this->transport->autoReply(false)->willReply(['tx_id' => 'a'])->willFail('23505', 'duplicate key');
        $this->client->begin();
        try {
            $this->client->commit();
            self::fail('it was committed');
        } catch (UniqueViolation) {
            $this->client->rollback();
        }
        // Once is enough: a second one has nothing to roll back.
        $this->expectException(TransactionEnded::class);
        $this->client->rollback();
    }

    public function testASavepointThatCannotBeRolledBackToEndsTheTransaction(): void
    {
        $this->transport->autoReply(false)
            ->willReply(['tx_id' => 'a'])->willAffect(0)
            ->willFail('25P03', 'idle for too long');
        $this->client->begin();
        $this->client->begin();
        $this->client->rollback();
        self::assertTrue($this->client->inTransaction());
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->execute('UPDATE'));
        $this->transport->willFail('25000', 'is finished');
        $this->client->rollback();
        self::assertFalse($this->client->inTransaction());
    }

    public function testEndingItInsideItsCallable(): void
    {
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->transaction(
            static fn (ClientInterface $client) => $client->rollback(),
        ));
        self::assertFalse($this->client->inTransaction());
    }

    public function testWithoutATransaction(): void
    {
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->commit());
        $this->expectFailure(TransactionEnded::class, fn () => $this->client->rollback());
        self::assertSame([], $this->transport->requests());
    }

    public function testClonesOfOneDatabaseShareItsTransaction(): void
    {
        $this->transport->willAffect(1)->willAffect(1);
        $patient = $this->client->withTimeout(-1)->withSettings(['work_mem' => '64MB']);
        $patient->begin();
        self::assertSame(['settings' => ['work_mem' => '64MB']], $this->last()->fields);
        self::assertTrue($this->client->inTransaction());
        $this->client->execute('UPDATE 1');
        self::assertSame('fake-1', $this->last()->fields['tx_id']);

        $other = $this->client->withDatabase('other');
        self::assertFalse($other->inTransaction());
        $other->execute('UPDATE 2');
        self::assertSame('other', $this->last()->fields['database']);
        self::assertArrayNotHasKey('tx_id', $this->last()->fields);
        $this->client->withDatabase('primary')->rollback();
        self::assertFalse($patient->inTransaction());
    }

    public function testTransactionsInsideASession(): void
    {
        $this->client->session(function (ClientInterface $client): void {
            $options = new TransactionOptions(IsolationLevel::Serializable, readOnly: true);
            $client->transaction(static fn () => $client->transaction(static fn () => null), $options);
            $this->expectFailure(LogicException::class, static fn () => $client->transaction(
                static fn () => throw new LogicException('no'),
            ));
        });

        self::assertSame([
            'SessionBegin',
            'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY',
            'SAVEPOINT pgpool_1',
            'RELEASE SAVEPOINT pgpool_1',
            'COMMIT',
            'BEGIN',
            'ROLLBACK',
            'SessionEnd',
        ], $this->methods());
    }

    public function testALostSessionIsNeverLeft(): void
    {
        $this->client->session(function (ClientInterface $client): void {
            $client->begin();
            $this->transport->loseConnection();
            $client->rollback();
            $this->expectFailure(TransactionEnded::class, static fn () => $client->execute('SELECT'));
            $this->expectFailure(TransactionEnded::class, static fn () => $client->begin());
        });
        self::assertSame(['SessionBegin', 'BEGIN'], $this->methods());
    }

    public function testSessionsDoNotNestInTransactions(): void
    {
        $this->client->session(fn () => $this->client->session(static fn () => null));
        self::assertSame(['SessionBegin', 'SessionEnd'], $this->methods());
        $this->client->begin();
        $this->expectException(InvalidArgument::class);
        $this->client->session(static fn () => null);
    }

    /** @param class-string<\Throwable> $class */
    private function expectFailure(string $class, callable $work): void
    {
        try {
            $work();
        } catch (\Throwable $error) {
            self::assertSame($class, $error::class, $error->getMessage());

            return;
        }
        self::fail("no {$class}");
    }

    private function last(): FakeRequest
    {
        $requests = $this->transport->requests();

        return $requests[count($requests) - 1];
    }

    /** @return list<string> statements, or methods where there is none */
    private function methods(): array
    {
        return array_map(
            static fn (FakeRequest $request): string => $request->sql() ?? $request->method,
            $this->transport->requests(),
        );
    }
}
