<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A column that must have a value has none (23502).
 */
final class NotNullViolation extends ConstraintViolation
{
}
