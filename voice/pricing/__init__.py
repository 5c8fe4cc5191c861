"""What calls will cost before they are made: the worksheet of the pricing page, and the same as an API."""
