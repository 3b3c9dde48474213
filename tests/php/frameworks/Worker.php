<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Frameworks;

use LogicException;
use RuntimeException;
use Throwable;

/**
 * What one worker does, whatever its framework: writes and reads in and outside of transactions, and a
 * look at every result. Whatever is not as it has to be ends it with an exception.
 */
final class Worker
{
    private const LEDGER = 'framework_ledger';
    private const COUNTER = 'framework_counter';

    /** @var array<int, true> server processes that have served us */
    private array $servers = [];
    private int $kept = 0;

    /** @param array<string, string> $settings of this worker, by the names that SHOW takes */
    public function __construct(
        private readonly Database $database,
        private readonly int $number,
        private readonly array $settings,
    ) {
    }

    /** @return array{servers: list<int>, kept: int} what the test adds up */
    public function run(int $rounds): array
    {
        $find = $this->database->prepare('SELECT worker, amount, note, done FROM ' . self::LEDGER . ' WHERE id = ?');
        for ($round = 1; $round <= $rounds; ++$round) {
            $this->writeAndRead($round, $find);
            $this->transaction($round);
            $this->rollback();
            $this->savepoint($round);
            $this->failure();
            $this->settings();
        }

        return ['servers' => array_keys($this->servers), 'kept' => $this->kept];
    }

    /** @param callable(list<mixed>): list<array<string, mixed>> $find a statement prepared once */
    private function writeAndRead(int $round, callable $find): void
    {
        $row = ['worker' => $this->number, 'amount' => '12.50', 'note' => "säule {$round} 'x' \\", 'done' => true];
        $id = $this->database->insert(self::LEDGER, $row);
        ++$this->kept;
        $this->same([$row], $find([$id]), 'the row of the insert, by a statement prepared before');
        $changed = $this->database->execute(
            'UPDATE ' . self::LEDGER . ' SET amount = 0, done = ? WHERE id = ? AND worker = ?',
            [false, $id, $this->number],
        );
        $this->same(1, $changed, 'rows of the update');
        $rows = $find([$id]);
        $this->same(['0.00', false], [$rows[0]['amount'], $rows[0]['done']], 'the row after the update');
        $this->same([], $find([-$id]), 'no row');
    }

    private function transaction(int $round): void
    {
        $this->database->transaction(function () use ($round): void {
            $server = $this->server();
            $transaction = $this->value('SELECT pg_current_xact_id()::text');
            foreach (['7.25', '-7.25'] as $amount) {
                $this->database->insert(self::LEDGER, [
                    'worker' => $this->number, 'amount' => $amount, 'note' => "transfer {$round}", 'done' => false,
                ]);
                ++$this->kept;
            }
            // Everybody's row: a lost or doubled transaction shows in the end.
            $this->database->execute('UPDATE ' . self::COUNTER . ' SET n = n + ?', [1]);
            $this->same($transaction, $this->value('SELECT pg_current_xact_id()::text'), 'the transaction');
            $this->same($server, $this->server(), 'the server connection within a transaction');
        });
        $this->sum();
    }

    private function rollback(): void
    {
        try {
            $this->database->transaction(function (): void {
                $this->database->insert(self::LEDGER, [
                    'worker' => $this->number, 'amount' => '1000', 'note' => 'never', 'done' => false,
                ]);
                $this->database->execute('UPDATE ' . self::COUNTER . ' SET n = n + ?', [1000]);
                throw new LogicException('no');
            });
        } catch (LogicException) {
            $this->sum();

            return;
        }
        throw new RuntimeException('a transaction has swallowed an exception');
    }

    private function savepoint(int $round): void
    {
        $this->database->transaction(function () use ($round): void {
            $id = $this->database->insert(self::LEDGER, [
                'worker' => $this->number, 'amount' => '0', 'note' => "outer {$round}", 'done' => false,
            ]);
            ++$this->kept;
            $this->fails('23505', fn () => $this->database->transaction(function () use ($id): void {
                $this->database->execute('UPDATE ' . self::LEDGER . ' SET amount = 99 WHERE id = ?', [$id]);
                $this->twice($id);
            }));
            $amount = $this->value('SELECT amount FROM ' . self::LEDGER . ' WHERE id = ?', [$id]);
            $this->same('0.00', $amount, 'what the savepoint has undone');
        });
        $this->sum();
    }

    private function failure(): void
    {
        $id = $this->value('SELECT max(id) FROM ' . self::LEDGER . ' WHERE worker = ?', [$this->number]);
        $this->fails('23505', fn () => $this->twice((int) $id));
        $this->fails('42P01', fn () => $this->database->select('SELECT * FROM nowhere WHERE id = ?', [1]));
        $this->fails('22P02', fn () => $this->database->select('SELECT CAST(? AS int)', ['one']));
        $this->same('a ? b', $this->value("SELECT 'a ? b'"), 'a statement after errors');
    }

    /** Inserts a row with an id that is there. */
    private function twice(int $id): void
    {
        $this->database->insert(self::LEDGER, [
            'id' => $id, 'worker' => $this->number, 'amount' => '1', 'note' => 'twice', 'done' => true,
        ]);
    }

    private function settings(): void
    {
        $this->server();
        foreach ($this->settings as $name => $value) {
            $this->same($value, $this->value("SHOW {$name}"), $name);
        }
    }

    /** No row of ours is lost, and none of others is counted. */
    private function sum(): void
    {
        $sql = 'SELECT count(*) AS n, sum(amount) AS amount FROM ' . self::LEDGER . ' WHERE worker = ?';
        $row = $this->database->select($sql, [$this->number])[0];
        $this->same([$this->kept, '0.00'], [(int) $row['n'], $row['amount']], 'rows of the worker, and their sum');
    }

    private function server(): int
    {
        $server = (int) $this->value('SELECT pg_backend_pid()');
        $this->servers[$server] = true;

        return $server;
    }

    /** @param list<mixed> $args */
    private function value(string $sql, array $args = []): mixed
    {
        $rows = $this->database->select($sql, $args);
        $this->same(1, count($rows), "rows of {$sql}");

        return reset($rows[0]);
    }

    private function fails(string $sqlstate, callable $work): void
    {
        try {
            $work();
        } catch (Throwable $error) {
            $this->same($sqlstate, $this->database->sqlstate($error), "SQLSTATE of {$error->getMessage()}");

            return;
        }
        throw new RuntimeException("no error, though {$sqlstate} was to come");
    }

    private function same(mixed $expected, mixed $actual, string $what): void
    {
        if ($expected !== $actual) {
            $texts = array_map(static fn (mixed $value): string => var_export($value, true), [$expected, $actual]);
            throw new RuntimeException("{$what}: expected {$texts[0]}, got {$texts[1]}");
        }
    }
}
