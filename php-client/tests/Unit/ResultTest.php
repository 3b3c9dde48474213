<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\Column;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\IsolationLevel;
use RrPgpool\Result;
use RrPgpool\Tests\Unit\Fixture\User;
use RrPgpool\Transport\FakeTransport;
use stdClass;

final class ResultTest extends TestCase
{
    public function testAPlainObjectHasAllColumns(): void
    {
        $client = new Client((new FakeTransport())->willReturnRows(['id', 'full_name'], [['1', 'Ada']]));
        $object = $client->execute('SELECT')->fetchObject(stdClass::class);
        self::assertEquals((object) ['id' => '1', 'full_name' => 'Ada'], $object);
    }

    public function testKeysOfAnyType(): void
    {
        $pairs = static fn (mixed ...$keys): array => (new Result([
            'columns' => [['name' => 'k', 'type' => 't', 'oid' => 1], ['name' => 'v', 'type' => 't', 'oid' => 1]],
            'rows' => array_map(static fn (mixed $key): array => [$key, 'v'], $keys),
        ]))->fetchKeyPair();

        self::assertSame(['1.5', 2, '', 1, 'a'], array_keys($pairs(1.5, 2.0, null, true, 'a')));
        $this->expectException(InvalidArgument::class);
        $pairs([1]);
    }

    public function testRows(): void
    {
        $result = $this->result([['id', 'int4'], 'name'], [[1, 'a'], [2, 'b']]);

        self::assertSame([['id' => 1, 'name' => 'a'], ['id' => 2, 'name' => 'b']], $result->fetchAll());
        self::assertSame($result->fetchAll(), iterator_to_array($result));
        self::assertSame(['id' => 1, 'name' => 'a'], $result->fetchOne());
        self::assertSame(1, $result->fetchValue());
        self::assertSame('a', $result->fetchValue('name'));
        self::assertSame([1, 2], $result->fetchColumn());
        self::assertSame(['a', 'b'], $result->fetchColumn(1));
        self::assertSame(['a', 'b'], $result->fetchColumn('name'));
        self::assertSame([1 => 'a', 2 => 'b'], $result->fetchKeyPair());
        self::assertCount(2, $result);
        self::assertSame(2, $result->rowsAffected());
        self::assertEquals([new Column('id', 'int4', 23), new Column('name', 'text', 25)], $result->columns());
    }

    public function testNoRows(): void
    {
        $result = $this->result(['a'], []);

        self::assertSame([], $result->fetchAll());
        self::assertNull($result->fetchOne());
        self::assertNull($result->fetchValue());
        self::assertSame([], $result->fetchColumn());
        self::assertSame([], $result->fetchKeyPair());
        self::assertNull($result->fetchObject(stdClass::class));
        self::assertCount(1, $result->columns());
    }

    public function testNoResult(): void
    {
        $result = new Result(['rows_affected' => 3, 'execution_time_us' => 7]);

        self::assertSame([], $result->fetchAll());
        self::assertSame([], $result->columns());
        self::assertSame(3, $result->rowsAffected());
        self::assertSame(7, $result->executionTimeUs());
    }

    public function testOfColumnsWithOneNameTheLastWins(): void
    {
        $result = $this->result(['a', 'a'], [['first', 'last']]);

        self::assertSame(['a' => 'last'], $result->fetchOne());
        self::assertSame('last', $result->fetchValue('a'));
        self::assertSame('first', $result->fetchValue(0));
    }

    public function testBytea(): void
    {
        $result = $this->result(
            [['b', 'bytea'], ['list', '_bytea'], 't'],
            [['\x00ff', ['\x41', null, ['\x']], '\x41'], [null, null, null]],
        );

        self::assertSame(['b' => "\0\xff", 'list' => ['A', null, ['']], 't' => '\x41'], $result->fetchOne());
        self::assertSame(["\0\xff", null], $result->fetchColumn());
    }

    public function testObjects(): void
    {
        $columns = [['id', 'int4'], 'created_at', 'level', 'note', 'unknown'];
        $users = $this->result($columns, [
            [1, '2024-01-02 03:04:05+00', 'serializable', 'x', 'y'],
            [2, '2024-01-02 03:04:05.5+02', null, 'z', 'y'],
        ])->fetchObjects(User::class);

        self::assertSame([1, 2], array_column($users, 'id'));
        self::assertSame('2024-01-02T03:04:05+00:00', $users[0]->createdAt->format('c'));
        self::assertSame(IsolationLevel::Serializable, $users[0]->level);
        self::assertNull($users[1]->level);
        self::assertSame('z', $users[1]->note);
    }

    public function testAMissingParameterIsNamed(): void
    {
        $this->expectException(InvalidArgument::class);
        $this->expectExceptionMessage('$createdAt');
        $this->result([['id', 'int4']], [[1]])->fetchObject(User::class);
    }

    public function testAMissingColumnIsNamed(): void
    {
        $this->expectException(InvalidArgument::class);
        $this->expectExceptionMessage('no column nonsense');
        $this->result(['a'], [[1]])->fetchColumn('nonsense');
    }

    /**
     * @param list<string|array{string, string}> $columns
     * @param list<list<mixed>> $rows
     */
    private function result(array $columns, array $rows): Result
    {
        $client = new Client((new FakeTransport())->willReturnRows($columns, $rows));

        return $client->execute('SELECT');
    }
}
