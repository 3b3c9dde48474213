<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
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
}
