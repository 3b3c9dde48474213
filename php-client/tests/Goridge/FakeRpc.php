<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Goridge;

use Google\Protobuf\Internal\Message;
use Throwable;

/** Has the methods of goridge's RPCInterface that matter, and its habits. */
final class FakeRpc
{
    public string $prefix = '';
    /** @var list<array{string, array<string, mixed>|Message, mixed}> */
    public array $calls = [];
    /** @var list<mixed> */
    private array $replies;

    public function __construct(mixed ...$replies)
    {
        $this->replies = array_values($replies);
    }

    public function withServicePrefix(string $service): self
    {
        $this->prefix = $service;

        return $this;
    }

    public function call(string $method, mixed $payload, mixed $options = null): mixed
    {
        $this->calls[] = [$method, $payload, $options];
        $reply = array_shift($this->replies);
        if ($reply instanceof Throwable) {
            throw $reply;
        }

        if ($reply instanceof Message && method_exists($reply, 'setRequestId')) {
            return $reply->setRequestId($payload->getRequestId());
        }

        return is_array($reply) ? $reply + ['request_id' => $payload['request_id']] : $reply;
    }
}
