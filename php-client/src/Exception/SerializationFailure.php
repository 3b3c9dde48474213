<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A concurrent transaction got in the way (40001). Run the whole transaction again.
 */
final class SerializationFailure extends PgpoolException
{
}
