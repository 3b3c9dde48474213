<?php

declare(strict_types=1);

namespace RrPgpool\Example;

use RuntimeException;

/**
 * The call itself failed: the connection, the protocol, or an ERROR frame from the server. An SQL
 * error is not one of these: it is a normal reply with `error` and `sqlstate`.
 */
final class GoridgeException extends RuntimeException
{
}
