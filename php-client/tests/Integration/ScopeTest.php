<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use LogicException;
use RrPgpool\ClientInterface;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\ReadOnlyTransaction;
use RrPgpool\Exception\SerializationFailure;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\Exception\TransactionFailed;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\IsolationLevel;
use RrPgpool\Tests\Servers;
use RrPgpool\TransactionOptions;

/**
 * Transactions and sessions against the real server.
 */
final class ScopeTest extends ClientTestCase
{
    public function testCommitAndRollback(): void
    {
        $table = $this->table();
        $this->client->transaction(static fn (ClientInterface $client) => $client->execute(
            "INSERT INTO {$table} VALUES (1)",
        ));
        $this->failure(LogicException::class, fn () => $this->client->transaction(
            static function (ClientInterface $client) use ($table): void {
                $client->execute("INSERT INTO {$table} VALUES (2)");
                throw new LogicException('no');
            },
        ));
        self::assertSame([1], $this->ids($table));
    }

    public function testSavepoints(): void
    {
        $table = $this->table();
        $insert = fn (int $id) => $this->client->execute("INSERT INTO {$table} VALUES (\$1)", [$id]);
        $this->client->transaction(function () use ($insert): void {
            $insert(1);
            foreach ([1, 2] as $again) {
                $this->failure(UniqueViolation::class, fn () => $this->client->transaction(
                    static function () use ($insert): void {
                        $insert(2);
                        $insert(1);
                    },
                ));
            }
            $this->client->transaction(static fn () => $insert(3));
        });
        self::assertSame([1, 3], $this->ids($table));
    }

    public function testSavepointsInsideASession(): void
    {
        $table = $this->table();
        $this->client->session(function (ClientInterface $client) use ($table): void {
            $client->transaction(function () use ($client, $table): void {
                $client->execute("INSERT INTO {$table} VALUES (1)");
                $this->failure(UniqueViolation::class, static fn () => $client->transaction(
                    static fn () => $client->execute("INSERT INTO {$table} VALUES (1)"),
                ));
            }, new TransactionOptions(IsolationLevel::RepeatableRead, settings: ['app.user' => 5]));
        });
        self::assertSame([1], $this->ids($table));
    }

    public function testAFailedTransactionIsNotCommitted(): void
    {
        foreach ([false, true] as $session) {
            $work = function (): void {
                $this->client->begin();
                $this->failure(\RrPgpool\Exception\DataError::class, fn () => $this->client->execute('SELECT 1/0'));
                $this->failure(TransactionFailed::class, fn () => $this->client->execute('SELECT 1'));
                $this->failure(TransactionFailed::class, fn () => $this->client->commit());
                self::assertFalse($this->client->inTransaction());
                self::assertSame(1, $this->client->execute('SELECT 1')->fetchValue());
            };
            $session ? $this->client->session($work) : $work();
        }
    }

    public function testOptions(): void
    {
        $options = new TransactionOptions(
            IsolationLevel::Serializable,
            readOnly: true,
            settings: ['app.user' => '7'],
        );
        $table = $this->table();
        foreach ([false, true] as $session) {
            $work = fn () => $this->client->transaction(function (ClientInterface $client) use ($table): void {
                $sql = "SELECT current_setting('transaction_isolation'), current_setting('app.user')";
                self::assertSame(
                    ['serializable', '7'],
                    array_values($client->execute("SELECT a, b FROM ({$sql}) x (a, b)")->fetchOne()),
                );
                $this->failure(
                    ReadOnlyTransaction::class,
                    static fn () => $client->execute("INSERT INTO {$table} VALUES (1)"),
                );
                $client->rollback();
                $client->begin();
            }, $options);
            $session ? $this->client->session($work) : $work();
        }
    }

    public function testRetriesResolveASerializationFailure(): void
    {
        $table = $this->table();
        $this->client->execute("INSERT INTO {$table} VALUES (1, '0')");
        $rival = $this->another();
        $runs = 0;
        $work = static function (ClientInterface $client) use ($table, $rival, &$runs): void {
            $value = (int) $client->execute("SELECT name FROM {$table}")->fetchValue();
            if (++$runs === 1) {
                $rival->execute("UPDATE {$table} SET name = '10'");
            }
            $client->execute("UPDATE {$table} SET name = \$1", [(string) ($value + 1)]);
        };
        $this->client->transaction($work, TransactionOptions::retries(1, IsolationLevel::RepeatableRead));
        self::assertSame(2, $runs);
        self::assertSame('11', $this->client->execute("SELECT name FROM {$table}")->fetchValue());

        $runs = 0;
        $this->failure(SerializationFailure::class, fn () => $this->client->transaction(
            $work,
            new TransactionOptions(IsolationLevel::RepeatableRead),
        ));
    }

    public function testAnExpiredTransaction(): void
    {
        $this->client->begin(new TransactionOptions(idleTimeoutMs: 50));
        $open = fn (): int => $this->client->stats()['primary']->transactionsOpen;
        for ($deadline = microtime(true) + 20; $open() > 0; usleep(5000)) {
            self::assertLessThan($deadline, microtime(true), 'it does not expire');
        }
        self::assertSame(
            '25P03',
            $this->failure(TransactionEnded::class, fn () => $this->client->execute('SELECT 1'))->sqlstate(),
        );
        $this->client->rollback();
        self::assertSame(1, $this->client->execute('SELECT 1')->fetchValue());
    }

    public function testALostConnectionRollsBack(): void
    {
        $table = $this->table();
        $this->client->begin();
        $this->client->execute("INSERT INTO {$table} VALUES (1)");
        $this->transport->close();
        $this->failure(TransactionEnded::class, fn () => $this->client->execute("INSERT INTO {$table} VALUES (2)"));
        $this->failure(TransactionEnded::class, fn () => $this->client->commit());
        self::assertSame([], $this->ids($table));
    }

    public function testAReplyThatIsTooLateLosesTheTransaction(): void
    {
        $table = $this->table();
        $impatient = new \RrPgpool\Client($this->transport, replyTimeout: 0.2);
        $impatient->begin();
        $impatient->execute("INSERT INTO {$table} VALUES (1)");
        $this->failure(OutcomeUnknown::class, static fn () => $impatient->execute('SELECT pg_sleep(5)'));
        $this->failure(TransactionEnded::class, static fn () => $impatient->execute('SELECT 1'));
        $impatient->rollback();
        self::assertSame([], $this->ids($table));
    }

    public function testASession(): void
    {
        $this->client->session(function (ClientInterface $client): void {
            $client->execute('CREATE TEMPORARY TABLE t (id int)');
            $client->execute('INSERT INTO t VALUES (1)');
            self::assertSame(1, $client->execute('SELECT id FROM t')->fetchValue());
            self::assertSame('Asia/Tokyo', $client->execute('SHOW TimeZone')->fetchValue());
        }, ['TimeZone' => 'Asia/Tokyo']);
        self::assertSame('UTC', $this->client->execute('SHOW TimeZone')->fetchValue());
    }

    public function testResetRollsBack(): void
    {
        $table = $this->table();
        $this->client->begin();
        $this->client->begin();
        $this->client->execute("INSERT INTO {$table} VALUES (1)");
        $this->client->reset();
        self::assertSame([], $this->ids($table));
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
    }

    public function testAForkedProcessLeavesItsParentsTransactionAlone(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('needs ext-pcntl');
        }
        $table = $this->table();
        $this->client->begin();
        $this->client->execute("INSERT INTO {$table} VALUES (1)");
        [$reader, $writer] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $pid = pcntl_fork();
        if ($pid === 0) {
            try {
                $this->client->execute("INSERT INTO {$table} VALUES (2)");
                $seen = 'inserted';
            } catch (TransactionEnded) {
                $this->client->rollback();
                $seen = $this->client->execute("SELECT count(*) FROM {$table}")->fetchValue();
            }
            fwrite($writer, "{$seen}\n");
            posix_kill(posix_getpid(), SIGKILL);
        }
        self::assertSame("0\n", fgets($reader));
        pcntl_waitpid($pid, $status);
        $this->client->commit();
        self::assertSame([1], $this->ids($table));
    }

    public function testBothListeners(): void
    {
        foreach ([Servers::tcp(), Servers::unix()] as $address) {
            self::assertSame(1, \RrPgpool\Client::create($address)->execute('SELECT 1')->fetchValue());
        }
    }

    /** @return list<int> */
    private function ids(string $table): array
    {
        return $this->another()->execute("SELECT id FROM {$table} ORDER BY id")->fetchColumn();
    }
}
