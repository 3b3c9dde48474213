<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\Exception as E;
use RrPgpool\Transport\FakeTransport;

final class ErrorTableTest extends TestCase
{
    /**
     * @dataProvider states
     * @param class-string<E\PgpoolException> $class
     */
    public function testClasses(string $sqlstate, string $class): void
    {
        $client = new Client((new FakeTransport())->willFail($sqlstate, 'it failed'));
        try {
            $client->execute('SELECT $1', [1]);
            self::fail('no exception');
        } catch (E\PgpoolException $error) {
            self::assertSame($class, $error::class);
            self::assertSame($sqlstate, $error->sqlstate());
            self::assertSame('it failed', $error->getMessage());
            self::assertSame('SELECT $1', $error->query());
            self::assertNull($error->detail());
            self::assertNull($error->position());
            self::assertNull($error->severity());
        }
    }

    /** @return iterable<string, array{string, class-string<E\PgpoolException>}> */
    public static function states(): iterable
    {
        $states = [
            '23505' => E\UniqueViolation::class,
            '23503' => E\ForeignKeyViolation::class,
            '23502' => E\NotNullViolation::class,
            '23514' => E\CheckViolation::class,
            '23P01' => E\ExclusionViolation::class,
            '23000' => E\ConstraintViolation::class,
            '40001' => E\SerializationFailure::class,
            '40P01' => E\Deadlock::class,
            '40003' => E\OutcomeUnknown::class,
            '55P03' => E\LockTimeout::class,
            '57014' => E\QueryTimeout::class,
            '42601' => E\SyntaxError::class,
            '42P01' => E\QueryError::class,
            '22012' => E\DataError::class,
            '25006' => E\ReadOnlyTransaction::class,
            '25P01' => E\TransactionEnded::class,
            '25P03' => E\TransactionEnded::class,
            '25P04' => E\TransactionEnded::class,
            '25000' => E\TransactionEnded::class,
            '25P02' => E\TransactionFailed::class,
            '08006' => E\ConnectionLost::class,
            '08001' => E\ConnectionLost::class,
            '57P01' => E\ConnectionLost::class,
            '57P03' => E\ConnectionLost::class,
            '08P01' => E\QueryError::class,
            '53300' => E\PoolExhausted::class,
            'P0001' => E\PgpoolException::class,
        ];
        foreach ($states as $state => $class) {
            yield "{$state}" => ["{$state}", $class];
        }
    }

    public function testDetails(): void
    {
        $client = new Client((new FakeTransport())->willFail('23505', 'duplicate key', [
            'detail' => 'Key (id)=(1) already exists.',
            'hint' => 'a hint',
            'schema' => 'public',
            'table' => 'users',
            'column' => 'id',
            'constraint' => 'users_pkey',
            'position' => 8,
        ]));
        try {
            $client->execute('INSERT');
            self::fail('no exception');
        } catch (E\ConstraintViolation $error) {
            self::assertSame('Key (id)=(1) already exists.', $error->detail());
            self::assertSame('a hint', $error->hint());
            self::assertSame('public', $error->schema());
            self::assertSame('users', $error->table());
            self::assertSame('id', $error->column());
            self::assertSame('users_pkey', $error->constraint());
            self::assertSame(8, $error->position());
        }
    }
}
