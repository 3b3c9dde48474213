<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use Google\Protobuf\Internal\GPBDecodeException;
use Google\Protobuf\Internal\Message;
use RrPgpool\Bytea;
use RrPgpool\Client;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\Internal\Goridge\ArrayText;
use RrPgpool\IsolationLevel;
use RrPgpool\Protobuf\V1;
use RrPgpool\Tests\Goridge\FakeRpc;
use RrPgpool\Tests\Goridge\ProtobufTestCase;
use RrPgpool\Tests\Goridge\RelayException;
use RrPgpool\TransactionOptions;
use RrPgpool\Transport\GoridgeCodec;
use RrPgpool\Transport\GoridgeTransport;

/** GoridgeTransport with goridge's ProtobufCodec: which messages it hands over, and what it makes of theirs. */
final class GoridgeProtobufTest extends ProtobufTestCase
{
    public function testAStatement(): void
    {
        $rpc = new FakeRpc((new V1\ExecuteResponse())
            ->setColumns([$this->column('id', 'int4', 23), $this->column('tags', '_text', 1009)])
            ->setRows([new V1\Row(['cells' => [
                (new V1\Value())->setInt(7),
                (new V1\Value())->setText('{a,"b c",NULL}'),
            ]])])
            ->setRowsAffected(1)
            ->setExecutionTimeUs(12));
        $result = $this->client($rpc)->withTimeout(500)->withSettings(['jit' => false])
            ->execute('SELECT $1, $2, $3', [null, [1, 'x'], new Bytea("\xff")]);

        self::assertSame([['id' => 7, 'tags' => ['a', 'b c', null]]], $result->fetchAll());
        self::assertSame(12, $result->executionTimeUs());
        [$method, $request, $options] = $rpc->calls[0];
        self::assertSame('Execute', $method);
        self::assertSame(V1\ExecuteResponse::class, $options);
        self::assertInstanceOf(V1\ExecuteRequest::class, $request);
        self::assertSame('SELECT $1, $2, $3', $request->getQuery());
        self::assertEquals(500, $request->getTimeout());
        self::assertSame(['jit' => 'off'], iterator_to_array($request->getSettings()));
        self::assertFalse($request->hasTxId());
        self::assertTrue($request->getArgs()[0]->hasNull());
        self::assertEquals(1, $request->getArgs()[1]->getList()->getItems()[0]->getInt());
        self::assertSame("\xff", $request->getArgs()[2]->getBinary());
    }

    public function testATransaction(): void
    {
        $rpc = new FakeRpc(
            (new V1\TransactionBeginResponse())->setTxId('t1'),
            (new V1\ExecuteResponse())->setRowsAffected(3),
            (new V1\EndResponse())->setSuccess(true),
        );
        $client = $this->client($rpc);
        $client->begin(new TransactionOptions(IsolationLevel::RepeatableRead, readOnly: true));
        self::assertSame(3, $client->execute('UPDATE t SET a = 1')->rowsAffected());
        $client->commit();

        self::assertSame('repeatable_read', $rpc->calls[0][1]->getIsolationLevel());
        self::assertTrue($rpc->calls[0][1]->getReadOnly());
        self::assertSame('t1', $rpc->calls[1][1]->getTxId());
        self::assertInstanceOf(V1\EndRequest::class, $rpc->calls[2][1]);
        self::assertSame('t1', $rpc->calls[2][1]->getTxId());
        self::assertSame(V1\EndResponse::class, $rpc->calls[2][2]);
    }

    public function testAnError(): void
    {
        $rpc = new FakeRpc((new V1\ExecuteResponse())
            ->setError('duplicate key value')
            ->setSqlstate('23505')
            ->setErrorDetail((new V1\ErrorDetail())->setConstraint('users_pkey')->setDetail('Key (id)=(1).')));
        try {
            $this->client($rpc)->execute('INSERT');
            self::fail('no exception');
        } catch (UniqueViolation $error) {
            self::assertSame('duplicate key value', $error->getMessage());
            self::assertSame('users_pkey', $error->constraint());
            self::assertSame('Key (id)=(1).', $error->detail());
            self::assertNull($error->hint());
            self::assertNull($error->position());
        }
    }

    public function testABatchSaysWhichStatementFailed(): void
    {
        $rpc = new FakeRpc((new V1\ExecuteBatchResponse())
            ->setError('duplicate key value')
            ->setSqlstate('23505')
            ->setFailed(0));
        try {
            $this->client($rpc)->batch()->add('INSERT 1')->add('INSERT 2')->runAtomic();
            self::fail('no exception');
        } catch (UniqueViolation $error) {
            self::assertSame(0, $error->statement());
            self::assertSame('INSERT 1', $error->query());
        }
        self::assertTrue($rpc->calls[0][1]->getAtomic());
        self::assertSame('INSERT 2', $rpc->calls[0][1]->getStatements()[1]->getQuery());
    }

    public function testWhatCannotBeWrittenIsNotSent(): void
    {
        $rpc = new FakeRpc((new V1\ExecuteResponse())->setRowsAffected(1));
        $client = $this->client($rpc);
        try {
            $client->execute("SELECT '\xff'");
            self::fail('no exception');
        } catch (InvalidArgument $error) {
            self::assertSame('22021', $error->sqlstate());
        }
        self::assertSame([], $rpc->calls);
        self::assertSame(1, $client->execute('UPDATE')->rowsAffected());
    }

    /**
     * @dataProvider unreadable
     */
    public function testAReplyThatCannotBeReadIsAnUnknownOutcome(mixed $reply): void
    {
        $connects = 0;
        $client = new Client(new GoridgeTransport(static function () use ($reply, &$connects): FakeRpc {
            return ++$connects === 1
                ? new FakeRpc((new V1\TransactionBeginResponse())->setTxId('t'), $reply)
                : new FakeRpc((new V1\ExecuteResponse())->setRowsAffected(1));
        }, GoridgeCodec::Protobuf));
        $client->begin();
        try {
            $client->execute('UPDATE');
            self::fail('no exception');
        } catch (OutcomeUnknown) {
            // Its connection is gone, and with it the transaction.
        }
        try {
            $client->execute('UPDATE');
            self::fail('no exception');
        } catch (TransactionEnded) {
            $client->rollback();
        }
        self::assertSame(1, $client->execute('UPDATE')->rowsAffected());
        self::assertSame(2, $connects);
    }

    /** @return array<string, array{mixed}> */
    public static function unreadable(): array
    {
        return [
            'no message' => ['bytes'],
            'nothing' => [null],
            'another message' => class_exists(Message::class) ? [new V1\Row()] : [null],
            'a broken message' => [
                class_exists(Message::class) ? new GPBDecodeException('Unexpected wire type.') : null,
            ],
            'a lost connection' => [new RelayException('reset')],
        ];
    }

    public function testArraysOfAnyLength(): void
    {
        $same = static fn (string $text): string => $text;
        $element = str_repeat('\\\\\\"', 1_000_000);
        self::assertSame(
            [str_repeat('\\"', 1_000_000), 'b'],
            (new ArrayText("{\"{$element}\",b}", ',', $same))->toList(),
        );
        foreach (['', '{', '{a', '{"a', '{"a\\', '{"a\\"', '{a}}', '{a,}', '{,a}', 'a', '{"a"b}', '{{a}'] as $text) {
            self::assertNull((new ArrayText($text, ',', $same))->toList(), $text);
        }
    }

    private function client(FakeRpc $rpc): Client
    {
        return new Client(new GoridgeTransport(static fn () => $rpc, GoridgeCodec::Protobuf));
    }

    private function column(string $name, string $type, int $oid): V1\Column
    {
        return (new V1\Column())->setName($name)->setType($type)->setOid($oid);
    }
}
