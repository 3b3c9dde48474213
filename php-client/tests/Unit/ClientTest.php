<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\ArgumentObserver;
use RrPgpool\Client;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\PsrLogObserver;
use RrPgpool\QueryEvent;
use RrPgpool\QueryObserver;
use RrPgpool\Result;
use RrPgpool\Tests\Unit\Fixture\RecordingLogger;
use RrPgpool\Transport\FakeTransport;

final class ClientTest extends TestCase
{
    private FakeTransport $transport;
    private Client $client;

    protected function setUp(): void
    {
        $this->transport = new FakeTransport();
        $this->client = new Client($this->transport);
    }

    public function testOptions(): void
    {
        $this->transport->willAffect(0)->willAffect(0)->willAffect(0);
        $this->client->execute('SELECT 1');
        $this->client->withTimeout(2500)->withSettings(['a' => 1])->withSettings(['b' => true])->execute('SELECT 2');
        $this->client->withTimeout(-1)->execute('SELECT 3');
        [$plain, $limited, $unlimited] = $this->transport->requests();

        self::assertSame(['query' => 'SELECT 1', 'result' => 'rows'], $plain->fields);
        self::assertSame(60.0, $plain->timeout);
        self::assertSame(2500, $limited->fields['timeout']);
        self::assertEquals(['a' => 1, 'b' => true], $limited->fields['settings']);
        self::assertGreaterThan(2.5 + 5, $limited->timeout, 'the server has to have time to say so itself');
        self::assertSame(INF, $unlimited->timeout);
    }

    public function testBatch(): void
    {
        $this->transport->willReply(['results' => [
            ['rows' => [[1]], 'columns' => [['name' => 'a', 'type' => 'int4', 'oid' => 23]], 'rows_affected' => 1],
            ['error' => 'exists', 'sqlstate' => '23505', 'rows_affected' => 0],
        ]]);
        $results = $this->client->batch()->add('SELECT 1')->add('INSERT', [true])->run();

        self::assertSame(1, $results[0]->fetchValue());
        self::assertInstanceOf(UniqueViolation::class, $results[1]);
        self::assertSame('INSERT', $results[1]->query());
        self::assertSame([
            'statements' => [['query' => 'SELECT 1'], ['query' => 'INSERT', 'args' => [true]]],
            'result' => 'rows',
        ], $this->transport->requests()[0]->fields);
    }

    public function testAtomicBatch(): void
    {
        $this->transport
            ->willReply(['results' => [['rows_affected' => 1], ['rows_affected' => 2]]])
            ->willReply(['error' => 'exists', 'sqlstate' => '23505', 'failed' => 1, 'results' => []]);
        $batch = $this->client->batch()->add('INSERT 1')->add('INSERT 2');
        self::assertCount(2, $batch);
        $counts = array_map(static fn (Result $result): int => $result->rowsAffected(), $batch->runAtomic());
        self::assertSame([1, 2], $counts);
        self::assertTrue($this->transport->requests()[0]->fields['atomic']);
        try {
            $batch->runAtomic();
            self::fail('no exception');
        } catch (UniqueViolation $error) {
            self::assertSame(1, $error->statement());
            self::assertSame('INSERT 2', $error->query());
        }
    }

    /**
     * A reply without what it is for must not be taken for one: a statement would run by itself.
     *
     * @dataProvider incomplete
     */
    public function testAnIncompleteReplyIsNone(callable $work, array $reply): void
    {
        $client = new Client((new FakeTransport())->autoReply(false)->willReply($reply));
        try {
            $work($client);
            self::fail('no exception');
        } catch (OutcomeUnknown $error) {
            self::assertStringContainsString('reply', $error->getMessage());
        }
        self::assertFalse($client->inTransaction());
    }

    /** @return array<string, array{callable, array<string, mixed>}> */
    public static function incomplete(): array
    {
        $work = static fn () => self::fail('it must not run');
        $batch = static fn (Client $client) => $client->batch()->add('SELECT 1')->add('SELECT 2')->run();

        return [
            'tx_id' => [static fn (Client $client) => $client->transaction($work), ['rows' => []]],
            'empty tx_id' => [static fn (Client $client) => $client->begin(), ['tx_id' => '']],
            'session_id' => [static fn (Client $client) => $client->session($work), ['session_id' => null]],
            'cursor_id' => [static fn (Client $client) => [...$client->stream('SELECT 1')], ['cursor_id' => 7]],
            'results' => [$batch, ['results' => 'none']],
            'fewer results' => [$batch, ['results' => [['rows_affected' => 0]]]],
        ];
    }

    public function testABatchThatIsTooLong(): void
    {
        $transport = new FakeTransport();
        $batch = (new Client($transport))->batch();
        for ($number = 0; $number <= 1000; ++$number) {
            $batch->add('SELECT 1');
        }
        try {
            $batch->run();
            self::fail('no exception');
        } catch (InvalidArgument $error) {
            self::assertStringContainsString('1000', $error->getMessage());
        }
        self::assertSame([], $transport->requests());
    }

    public function testBatchesNameWhatTheyCannotUse(): void
    {
        self::assertSame([], $this->client->batch()->run());
        $this->expectException(InvalidArgument::class);
        $this->expectExceptionMessage('statement 2, parameter $1: ');
        $this->client->batch()->add('SELECT 1')->add('SELECT $1', ["\xff"])->run();
    }

    public function testStream(): void
    {
        $columns = [['name' => 'a', 'type' => 'bytea', 'oid' => 17]];
        $this->transport
            ->willReply(['cursor_id' => 'c', 'columns' => $columns])
            ->willReply(['rows' => [['\x41'], ['\x42']], 'done' => false])
            ->willReply(['rows' => [['\x43']], 'done' => true]);
        $rows = iterator_to_array($this->client->stream('SELECT $1', [5], 2), true);

        self::assertSame([['a' => 'A'], ['a' => 'B'], ['a' => 'C']], $rows);
        [$open, $fetch, , ] = $requests = [...$this->transport->requests(), null];
        self::assertCount(4, $requests, 'the server has closed it by itself');
        self::assertSame(['query' => 'SELECT $1', 'result' => 'rows', 'args' => [5]], $open->fields);
        self::assertSame(['cursor_id' => 'c', 'count' => 2], $fetch->fields);
    }

    public function testABreakClosesTheCursor(): void
    {
        $this->transport->willReply(['cursor_id' => 'c', 'columns' => []])->willReply(['rows' => [[], []]]);
        foreach ($this->client->stream('SELECT') as $row) {
            self::assertSame([], $row);
            break;
        }
        self::assertSame(['CursorOpen', 'CursorFetch', 'CursorClose'], $this->methods());
    }

    public function testACursorIsNotFetchedThroughAnotherConnection(): void
    {
        $this->transport->willReply(['cursor_id' => 'c', 'columns' => []])->willReply(['rows' => [[]]]);
        try {
            foreach ($this->client->stream('SELECT') as $row) {
                $this->transport->loseConnection();
            }
            self::fail('no exception');
        } catch (ConnectionLost) {
            self::assertSame(['CursorOpen', 'CursorFetch'], $this->methods());
        }
    }

    public function testACursorLeavesSettingsToItsTransaction(): void
    {
        $client = $this->client->withSettings(['TimeZone' => 'UTC']);
        $client->begin();
        $this->transport->willReply(['cursor_id' => 'c', 'columns' => []])->willReply(['rows' => [], 'done' => true]);
        self::assertSame([], [...$client->stream('SELECT')]);
        self::assertArrayNotHasKey('settings', $this->transport->requests()[1]->fields);
    }

    public function testStatsHealthVersion(): void
    {
        $this->transport
            ->willReply(['stats' => ['primary' => [
                'total_connections' => 3,
                'last_health_check' => '0001-01-01T00:00:00Z',
                'last_error' => 'refused',
                'pinned_clients' => 2,
                'breaker' => 'half-open',
                'cache_hits' => 5,
            ]]])
            ->willReply(['health' => ['a' => true, 'b' => false], 'errors' => ['b' => 'refused']])
            ->willReply(['version' => '1.0', 'features' => ['batch'], 'databases' => ['a' => null]]);
        $stats = $this->client->stats()['primary'];
        self::assertSame(3, $stats->totalConnections);
        self::assertNull($stats->lastHealthCheck);
        self::assertSame('refused', $stats->lastError);
        self::assertSame([2, 'half-open', 5], [$stats->pinnedClients, $stats->breaker, $stats->cacheHits]);

        $health = $this->client->health();
        self::assertFalse($health->isHealthy());
        self::assertTrue($health->isHealthy('a'));
        self::assertFalse($health->isHealthy('c'));
        self::assertSame('refused', $health->errors['b']);

        $version = $this->client->version();
        self::assertTrue($version->hasFeature('batch'));
        self::assertFalse($version->hasFeature('cursors'));
    }

    public function testResetRollsBackAndSaysSo(): void
    {
        $logger = $this->logger();
        $client = new Client($this->transport, logger: $logger);
        $client->reset();
        self::assertSame([], $logger->lines);

        $client->begin();
        $client->begin();
        $client->withDatabase('other')->begin();
        $client->reset();
        self::assertFalse($client->inTransaction());
        self::assertSame(['TransactionRollback', 'TransactionRollback'], array_slice($this->methods(), -2));
        self::assertSame(['warning', 'warning'], array_column($logger->lines, 0));
        self::assertSame(['database' => 'primary', 'depth' => 2], $logger->lines[0][2]);

        $this->transport->willReturnRows(['a'], array_fill(0, 3, ['x']));
        $rows = $client->stream('SELECT a', [], 2);
        $rows->current();
        $client->reset();
        self::assertSame('CursorClose', $this->methods()[count($this->methods()) - 1]);
        $asked = count($this->methods());
        $client->reset();
        self::assertCount($asked, $this->methods());
        self::assertStringContainsString('stream', array_pop($logger->lines)[1]);

        $client->session(function () use ($client): void {
            $client->begin();
            $client->reset();
            self::assertFalse($client->inTransaction());
        });
        self::assertSame(['BEGIN', 'SessionEnd'], array_slice($this->methods(), -2));
        self::assertStringContainsString('session', $logger->lines[2][1]);
    }

    public function testResetNeverThrows(): void
    {
        $logger = $this->logger();
        $client = new Client($this->transport, logger: $logger);
        $this->transport->autoReply(false)->willReply(['tx_id' => 'a'])->willFail('XX000', 'internal error');
        $client->begin();
        $client->reset();
        self::assertFalse($client->inTransaction());
        self::assertSame('error', $logger->lines[0][0]);
    }

    public function testAnObserverSeesStatementsWithoutValues(): void
    {
        $observer = new class implements QueryObserver {
            /** @var list<QueryEvent> */
            public array $events = [];

            public function executed(QueryEvent $event): void
            {
                $this->events[] = $event;
            }
        };
        $client = new Client($this->transport, 'other', $observer);
        $this->transport->willReturnRows(['a'], [[1], [2]])->willThrow(new OutcomeUnknown('?', '40003'));
        $client->execute('SELECT $1', ['secret']);
        try {
            $client->execute('UPDATE');
            self::fail('no exception');
        } catch (OutcomeUnknown $error) {
            self::assertSame('UPDATE', $error->query());
        }
        [$select, $update] = $observer->events;

        self::assertSame('SELECT $1', $select->sql);
        self::assertSame('other', $select->database);
        self::assertSame(2, $select->rows);
        self::assertNull($select->arguments);
        self::assertNull($select->exception);
        self::assertGreaterThan(0.0, $select->durationMs);
        self::assertSame($error, $update->exception);
    }

    public function testAnObserverThatAsksForValuesGetsThem(): void
    {
        $observer = new class implements ArgumentObserver {
            public ?QueryEvent $event = null;

            public function executed(QueryEvent $event): void
            {
                $this->event = $event;
            }
        };
        $this->transport->willAffect(0);
        (new Client($this->transport, observer: $observer))->execute('SELECT $1', [7]);
        self::assertSame([7], $observer->event?->arguments);
    }

    public function testStatementsAreLogged(): void
    {
        $logger = $this->logger();
        $client = new Client($this->transport, observer: new PsrLogObserver($logger));
        $this->transport->willAffect(3)->willFail('23505', 'exists');
        $client->execute('DELETE');
        try {
            $client->execute('INSERT');
            self::fail('no exception');
        } catch (UniqueViolation) {
            self::assertSame(['debug', 'warning'], array_column($logger->lines, 0));
            self::assertSame(3, $logger->lines[0][2]['rows']);
            self::assertSame('INSERT', $logger->lines[1][2]['sql']);
        }
    }

    private function logger(): RecordingLogger
    {
        if (!interface_exists(\Psr\Log\LoggerInterface::class)) {
            self::markTestSkipped('needs psr/log');
        }

        return new RecordingLogger();
    }

    /** @return list<string> statements, or methods where there is none */
    private function methods(): array
    {
        $methods = [];
        foreach ($this->transport->requests() as $request) {
            $methods[] = $request->method === 'Execute' ? (string) $request->sql() : $request->method;
        }

        return $methods;
    }
}
