<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The row refers to one that does not exist, or is still referred to (23503, 23001).
 */
final class ForeignKeyViolation extends ConstraintViolation
{
}
