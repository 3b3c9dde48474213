<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A CHECK constraint refused the row (23514).
 */
final class CheckViolation extends ConstraintViolation
{
}
