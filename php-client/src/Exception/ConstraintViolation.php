<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A constraint refused the row (class 23); constraint() and detail() say which and why.
 */
class ConstraintViolation extends PgpoolException
{
}
