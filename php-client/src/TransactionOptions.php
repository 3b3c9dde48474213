<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * How a transaction is opened, and how often it is tried.
 */
final class TransactionOptions
{
    /**
     * @param IsolationLevel|null $isolation null: the server's default_transaction_isolation
     * @param array<string, string|int|float|bool> $settings PostgreSQL parameters for the transaction
     * @param int|null $idleTimeoutMs milliseconds between two statements after which the server rolls
     *     back; null: its transactions.idle_timeout
     * @param int|null $maxLifetimeMs milliseconds after which it does in any case; null: its
     *     transactions.max_lifetime
     * @param int $retries how often Client::transaction() runs its callable again after a
     *     serialization failure or a deadlock; the callable must be fit for that
     * @param Route $route where a read-only transaction is opened; others are at the primary in any case
     */
    public function __construct(
        public readonly ?IsolationLevel $isolation = null,
        public readonly bool $readOnly = false,
        public readonly bool $deferrable = false,
        public readonly array $settings = [],
        public readonly ?int $idleTimeoutMs = null,
        public readonly ?int $maxLifetimeMs = null,
        public readonly int $retries = 0,
        public readonly Route $route = Route::Auto,
    ) {
    }

    /** Defaults, but tried up to $retries more times after 40001 and 40P01. */
    public static function retries(int $retries, ?IsolationLevel $isolation = null): self
    {
        return new self(isolation: $isolation, retries: $retries);
    }

    /**
     * A copy with further settings under those it has, and a route where it has none.
     *
     * @internal
     * @param array<string, string|int|float|bool> $settings
     */
    public function withDefaults(array $settings, Route $route): self
    {
        return new self(
            $this->isolation,
            $this->readOnly,
            $this->deferrable,
            $this->settings + $settings,
            $this->idleTimeoutMs,
            $this->maxLifetimeMs,
            $this->retries,
            $this->route === Route::Auto ? $route : $this->route,
        );
    }

    /**
     * The fields of TransactionBegin; those that are at their defaults are left out.
     *
     * @internal
     * @return array<string, mixed>
     */
    public function toRequest(): array
    {
        $request = [];
        if ($this->isolation !== null) {
            $request['isolation_level'] = $this->isolation->value;
        }
        if ($this->readOnly) {
            $request['read_only'] = true;
        }
        if ($this->deferrable) {
            $request['deferrable'] = true;
        }
        if ($this->settings !== []) {
            $request['settings'] = $this->settings;
        }
        if ($this->idleTimeoutMs !== null) {
            $request['idle_timeout'] = $this->idleTimeoutMs;
        }
        if ($this->maxLifetimeMs !== null) {
            $request['max_lifetime'] = $this->maxLifetimeMs;
        }
        if ($this->route !== Route::Auto) {
            $request['route'] = $this->route->value;
        }

        return $request;
    }

    /**
     * The statement that opens such a transaction inside a session.
     *
     * @internal
     */
    public function toSql(): string
    {
        return 'BEGIN'
            . ($this->isolation === null ? '' : ' ISOLATION LEVEL ' . $this->isolation->toSql())
            . ($this->readOnly ? ' READ ONLY' : '')
            . ($this->deferrable ? ' DEFERRABLE' : '');
    }
}
