<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\TransactionEnded;

/**
 * What an Executor has open at the server.
 *
 *     closed ──openTransaction──► transaction, depth 1 ──push──► savepoints, depth 2, 3, …
 *       │
 *       └──openSession──► session, depth 0 ──push──► transaction by SQL, depth 1 ──push──► …
 *
 * Each of them but `closed` may be lost: the server has let go of it, and nothing may be executed
 * until the owner has noticed, by rolling back or by ending the session.
 *
 * @internal
 */
final class Scope
{
    private const TRANSACTION = 'tx_id';
    private const SESSION = 'session_id';

    private ?string $field = null;
    private string $id = '';
    private int $depth = 0;
    private int $generation = 0;
    private ?string $lost = null;
    /** @var array<string, string|int|float|bool> */
    private array $settings = [];

    /**
     * @param int $generation the transport's, after it was opened
     * @param array<string, string|int|float|bool> $settings in force for all of it
     */
    public function openTransaction(string $id, int $generation, array $settings): void
    {
        $this->open(self::TRANSACTION, $id, $generation, $settings);
        $this->depth = 1;
    }

    /**
     * @param int $generation the transport's, after it was opened
     * @param array<string, string|int|float|bool> $settings in force for all of it
     */
    public function openSession(string $id, int $generation, array $settings): void
    {
        $this->open(self::SESSION, $id, $generation, $settings);
    }

    /**
     * Whether these settings were in force from the beginning.
     *
     * @param array<string, string|int|float|bool> $settings
     */
    public function hasSettings(array $settings): bool
    {
        return $this->field !== null && array_diff_assoc($settings, $this->settings) === [];
    }

    public function isOpen(): bool
    {
        return $this->field !== null;
    }

    public function inSession(): bool
    {
        return $this->field === self::SESSION;
    }

    /** Transactions around the next statement: 0 none, 1 a transaction, more with savepoints. */
    public function depth(): int
    {
        return $this->depth;
    }

    public function push(): void
    {
        ++$this->depth;
    }

    /** Leaves a savepoint, or the transaction; what was a session stays one. */
    public function pop(): void
    {
        if (--$this->depth <= 0) {
            $this->endTransaction();
        }
    }

    public function endTransaction(): void
    {
        $this->depth = 0;
        if (!$this->inSession()) {
            $this->close();
        }
    }

    public function close(): void
    {
        $this->field = null;
        $this->id = '';
        $this->depth = 0;
        $this->lost = null;
    }

    /** The server no longer has it. */
    public function lose(string $reason): void
    {
        $this->lost ??= $reason;
    }

    /**
     * Whether the connection that it was opened through is still there.
     *
     * @param int $generation the transport's present one
     */
    public function isCurrent(int $generation): bool
    {
        return $this->generation === $generation;
    }

    /** @param int $generation the transport's present one */
    public function isLost(int $generation): bool
    {
        if ($this->field !== null && $this->generation !== $generation) {
            $this->lost ??= 'the process lost its connection to the pool, or was forked';
        }

        return $this->lost !== null;
    }

    /**
     * @param int $generation the transport's present one
     * @throws TransactionEnded when it is lost
     */
    public function requireAlive(int $generation): void
    {
        if ($this->isLost($generation)) {
            $what = $this->inSession() ? 'session' : 'transaction';
            throw new TransactionEnded("the {$what} is over and was rolled back: {$this->lost}", '25000');
        }
    }

    /**
     * The field that names it in a request.
     *
     * @return array<string, string>
     */
    public function toRequest(): array
    {
        return $this->field === null ? [] : [$this->field => $this->id];
    }

    /** @param array<string, string|int|float|bool> $settings */
    private function open(string $field, string $id, int $generation, array $settings): void
    {
        $this->field = $field;
        $this->id = $id;
        $this->depth = 0;
        $this->generation = $generation;
        $this->settings = $settings;
        $this->lost = null;
    }
}
