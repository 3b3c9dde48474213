<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * How a statement is executed.
 */
final class ExecuteOptions
{
    /** Native values: numbers, booleans, nested json and arrays. */
    public const NATIVE = 'native';
    /** json and arrays as PostgreSQL prints them. */
    public const TEXT = 'text';

    /** Seconds the server may need beyond a statement's own timeout: for a connection, for the reply. */
    private const GRACE = 15.0;

    /**
     * @param int|null $timeoutMs milliseconds; null or 0: the server's behavior.query_timeout, -1: none
     * @param array<string, string|int|float|bool> $settings PostgreSQL parameters for this statement
     * @param string $types self::NATIVE or self::TEXT
     * @param bool $simple several statements in one string, without arguments; the last one's result
     * @param Route $route which server executes it, outside transactions and sessions
     * @param int|null $cacheTtlMs milliseconds; how old an answer from the server's memory may be; null: none from
     *     there unless the statement begins with a comment pgpool:cache, 0: none at all, -1: features.cache.ttl
     */
    public function __construct(
        public readonly ?int $timeoutMs = null,
        public readonly array $settings = [],
        public readonly string $types = self::NATIVE,
        public readonly bool $simple = false,
        public readonly Route $route = Route::Auto,
        public readonly ?int $cacheTtlMs = null,
    ) {
    }

    /** A copy with another timeout. */
    public function withTimeoutMs(?int $timeoutMs): self
    {
        return $this->with(['timeoutMs' => $timeoutMs]);
    }

    /**
     * A copy with further settings; those of the same name are replaced.
     *
     * @param array<string, string|int|float|bool> $settings
     */
    public function withSettings(array $settings): self
    {
        return $this->with(['settings' => $settings + $this->settings]);
    }

    /** A copy for another server. */
    public function withRoute(Route $route): self
    {
        return $this->with(['route' => $route]);
    }

    /** A copy whose answers may be this old. */
    public function withCacheTtlMs(?int $cacheTtlMs): self
    {
        return $this->with(['cacheTtlMs' => $cacheTtlMs]);
    }

    /** @param array<string, mixed> $changes */
    private function with(array $changes): self
    {
        return new self(...array_replace(get_object_vars($this), $changes));
    }

    /**
     * The request's fields; those that are at their defaults are left out.
     *
     * @internal
     * @return array<string, mixed>
     */
    public function toRequest(): array
    {
        $request = [];
        if ($this->timeoutMs !== null) {
            $request['timeout'] = $this->timeoutMs;
        }
        if ($this->settings !== []) {
            $request['settings'] = $this->settings;
        }
        if ($this->types !== self::NATIVE) {
            $request['types'] = $this->types;
        }
        if ($this->simple) {
            $request['simple'] = true;
        }
        if ($this->route !== Route::Auto) {
            $request['route'] = $this->route->value;
        }

        return $request;
    }

    /**
     * The field of Execute alone.
     *
     * @internal
     * @return array<string, int>
     */
    public function toCacheRequest(): array
    {
        return $this->cacheTtlMs === null ? [] : ['cache_ttl' => $this->cacheTtlMs];
    }

    /**
     * Seconds to wait for the reply: never less than the server may need to say that it timed out.
     *
     * @internal
     * @param float $default seconds to wait when the statement has no timeout of its own
     */
    public function replyTimeout(float $default): float
    {
        return match (true) {
            $this->timeoutMs === null, $this->timeoutMs === 0 => $default,
            $this->timeoutMs < 0 => INF,
            default => $this->timeoutMs / 1000 + self::GRACE,
        };
    }
}
