<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\Exception\QueryError;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\Result;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Transport\FakeTransport;
use UnderflowException;

final class FakeTransportTest extends TestCase
{
    public function testItAnswersInOrderAndRemembers(): void
    {
        $transport = (new FakeTransport())
            ->willReturnRows(['a', ['n', 'int4']], [['x', 1]])
            ->willAffect(2)
            ->willThrow(new ConnectionLost('gone', '08006'));
        $client = new Client($transport);
        $client->begin();
        self::assertSame(['a' => 'x', 'n' => 1], $client->execute('SELECT $1', [7])->fetchOne());
        self::assertSame(2, $client->execute('UPDATE')->rowsAffected());
        $client->commit();
        self::assertSame(1, $transport->remaining());
        $before = $transport->generation();
        try {
            $client->execute('SELECT 3');
            self::fail('no exception');
        } catch (ConnectionLost) {
            self::assertNotSame($before, $transport->generation());
        }

        self::assertSame(['SELECT $1', 'UPDATE', 'SELECT 3'], $transport->statements());
        self::assertSame([7], $transport->requests()[1]->args());
        self::assertCount(5, $transport->requests());
    }

    public function testAStatementThatNothingWasPreparedForIsNamed(): void
    {
        $this->expectException(UnderflowException::class);
        $this->expectExceptionMessage('no reply for Execute SELECT 1');
        (new Client(new FakeTransport()))->execute('SELECT 1');
    }

    public function testABatchTakesOneReplyForEachStatement(): void
    {
        $transport = (new FakeTransport())
            ->willReturnRows(['n'], [[1]])
            ->willFail('23505', 'duplicate key')
            ->willAffect(2)
            ->willFail('23505', 'duplicate key');
        $client = new Client($transport);
        $results = $client->batch()->add('SELECT 1')->add('INSERT')->run();
        self::assertInstanceOf(Result::class, $results[0]);
        self::assertSame(1, $results[0]->fetchValue());
        self::assertInstanceOf(UniqueViolation::class, $results[1]);
        try {
            $client->batch()->add('UPDATE')->add('INSERT again')->add('never reached')->runAtomic();
            self::fail('all or nothing');
        } catch (UniqueViolation $error) {
            self::assertSame(1, $error->statement());
        }
        self::assertSame(0, $transport->remaining());
        self::assertSame(
            ['SELECT 1', 'INSERT', 'UPDATE', 'INSERT again', 'never reached'],
            $transport->statements(),
        );
    }

    public function testAStreamTakesOneReplyForAllRows(): void
    {
        $transport = (new FakeTransport())
            ->willReturnRows(['n'], [[1], [2], [3], [4], [5]])
            ->willFail('42P01', 'no such table');
        $client = new Client($transport);
        $rows = iterator_to_array($client->stream('SELECT n', chunk: 2), false);
        self::assertSame([1, 2, 3, 4, 5], array_column($rows, 'n'));
        $this->expectException(QueryError::class);
        iterator_to_array($client->stream('SELECT nothing'), false);
    }
}
