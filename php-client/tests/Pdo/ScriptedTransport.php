<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use RrPgpool\Transport;
use Throwable;

/**
 * A transport that answers with what it was told, in order, and remembers what it was asked.
 */
final class ScriptedTransport implements Transport
{
    /** @var list<array{string, array<string, mixed>}> */
    public array $calls = [];
    /** @var list<array<string, mixed>|Throwable> */
    private array $replies;

    /** @param array<string, mixed>|Throwable ...$replies replies, or what to throw instead */
    public function __construct(array|Throwable ...$replies)
    {
        $this->replies = array_values($replies);
    }

    public function call(string $method, array $request, float $timeout): array
    {
        $this->calls[] = [$method, $request];
        $reply = array_shift($this->replies) ?? ['rows_affected' => 0, 'success' => true];
        if ($reply instanceof Throwable) {
            throw $reply;
        }

        return $reply;
    }

    public function generation(): int
    {
        return 1;
    }

    public function close(): void
    {
    }
}
