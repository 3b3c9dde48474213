<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

/**
 * JSON: requests and replies are what they are elsewhere in this package.
 *
 * @internal
 */
final class JsonPayloads implements Payloads
{
    public function request(string $method, array $request): mixed
    {
        return $request;
    }

    public function options(string $method): mixed
    {
        return JSON_BIGINT_AS_STRING;
    }

    public function reply(array $request, mixed $reply): ?array
    {
        return is_array($reply) ? $reply : null;
    }
}
