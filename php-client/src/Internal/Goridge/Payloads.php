<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use RrPgpool\Exception\InvalidArgument;

/**
 * What one codec of goridge takes for a request, and gives as a reply.
 *
 * @internal
 */
interface Payloads
{
    /**
     * @param array<string, mixed> $request
     * @throws InvalidArgument when the codec has no way to write it
     */
    public function request(string $method, array $request): mixed;

    /** The third argument of goridge's call(). */
    public function options(string $method): mixed;

    /**
     * The reply with its fields and values as the JSON codec has them; bytea is text of the form `\x…`.
     *
     * @param array<string, mixed> $request
     * @param mixed $reply what goridge returned
     * @return array<string, mixed>|null null when it is no reply
     */
    public function reply(array $request, mixed $reply): ?array;
}
