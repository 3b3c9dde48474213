<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

/**
 * A request that a FakeTransport was given.
 */
final class FakeRequest
{
    private const CONTROL = '/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE SAVEPOINT)\b/';

    /**
     * @param string $method such as `Execute`
     * @param array<string, mixed> $fields as they would be sent
     * @param float $timeout seconds to wait for the reply
     */
    public function __construct(
        public readonly string $method,
        public readonly array $fields,
        public readonly float $timeout,
    ) {
    }

    /** The statement; null for requests without one. */
    public function sql(): ?string
    {
        return $this->fields['query'] ?? null;
    }

    /** @return list<string> the statement, or those of a batch */
    public function statements(): array
    {
        $batch = array_column($this->fields['statements'] ?? [], 'query');

        return $this->sql() === null ? $batch : [$this->sql()];
    }

    /** @return list<mixed> the arguments as they would be sent */
    public function args(): array
    {
        return $this->fields['args'] ?? [];
    }

    /** Whether it only begins or ends a transaction or a savepoint. */
    public function isControl(): bool
    {
        return preg_match(self::CONTROL, $this->sql() ?? '') === 1;
    }
}
