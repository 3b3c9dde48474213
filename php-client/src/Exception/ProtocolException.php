<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The server refused the request as such: it does not know the method or a field of it, or is no
 * rr-pgpool at all (08P01). Nothing was executed.
 */
final class ProtocolException extends PgpoolException
{
}
