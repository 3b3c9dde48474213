<?php

declare(strict_types=1);

namespace RrPgpool;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\ProtocolException;

/**
 * Carries requests to rr-pgpool, one at a time. It knows nothing about transactions; it only has to
 * say, by generation(), when what was opened through it is gone.
 */
interface Transport
{
    /**
     * Sends one request and returns the decoded reply. A reply with `error` and `sqlstate` is returned
     * like any other. Values are as the JSON codec has them; bytea is text of the form `\x…`.
     *
     * Never sends a request twice.
     *
     * @param string $method a method without the service, such as `Execute`
     * @param array<string, mixed> $request
     * @param float $timeout seconds to wait for the reply, INF for no limit
     * @return array<string, mixed>
     * @throws ConnectionLost when the server cannot have executed the request
     * @throws OutcomeUnknown when it may have
     * @throws ProtocolException when the server refused the request as such (an ERROR frame)
     */
    public function call(string $method, array $request, float $timeout): array;

    /**
     * A number that changes whenever a connection is given up, after a failure or a fork. The server
     * then rolls back the transactions and ends the sessions and cursors opened through it.
     */
    public function generation(): int;

    /** Gives the connection up; the next call opens another. */
    public function close(): void;
}
